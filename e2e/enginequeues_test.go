package e2e_test

import (
	"cmp"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/e2e/scaler"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/kafka/kafkatest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq/rabbitmqtest"
)

// A broker is a real server with queues.
type broker struct {
	// builtin is the type of the trigger that KEDA has for the system; empty if it has the name of our engine.
	builtin string
	// connection is how the scaler reads it, with variables of the scaler's environment.
	connection scaler.Connection
	env        []string
	// ours and theirs are the metadata of both triggers on a queue, of ours without what is the same for all engines.
	ours, theirs func(queue string) map[string]string
	// create makes an empty queue, write adds n messages to it, and drain takes all out, as workers do in the end.
	create func(t *testing.T, queue string)
	write  func(t *testing.T, queue string, n int)
	drain  func(t *testing.T, queue string)
	// deliver hands n messages to a worker, and acknowledge has it acknowledge as many. Both are nil where a queue does not show
	// what workers hold, or the built-in trigger counts what its query says.
	deliver, acknowledge func(t *testing.T, queue string, n int)
	// take takes the server away, and giveBack returns when it serves again, with its data.
	take, giveBack func(t *testing.T)
	// most is how many replicas ours has for 29 messages, five for each.
	most int32
}

// trigger returns the type of KEDA's trigger for an engine of ours.
func (b *broker) trigger(engine string) string { return cmp.Or(b.builtin, engine) }

// startKafka starts a broker that is frozen in its outage. A queue is a topic of five partitions, and the consumer group of the
// same name. The workers of 29 messages would be six, and one of them had no partition.
func startKafka(t *testing.T) *broker {
	t.Helper()
	const partitions = 5
	cluster := kafkatest.Start(t, kafkatest.V44, 1)
	client := cluster.Client(t)
	drain := func(t *testing.T, queue string) {
		t.Helper()
		ends, err := client.Admin.ListEndOffsets(t.Context(), queue)
		check(t, err)
		check(t, client.Admin.CommitAllOffsets(t.Context(), queue, ends.Offsets()))
	}
	write := func(t *testing.T, queue string, n int) {
		t.Helper()
		for p := range min(n, partitions) {
			client.Produce(t, queue, int32(p), (n+partitions-1-p)/partitions)
		}
	}
	return &broker{
		connection: scaler.Connection{Engine: "kafka", Namespaces: []string{"*"}, Addresses: cluster.Addrs()},
		ours: func(queue string) map[string]string {
			return map[string]string{"topic": queue, "consumerGroup": queue}
		},
		theirs: func(queue string) map[string]string {
			return map[string]string{
				"bootstrapServers": strings.Join(cluster.Addrs(), ","), "topic": queue, "consumerGroup": queue, "lagThreshold": "5",
				"offsetResetPolicy": "earliest",
			}
		},
		create: func(t *testing.T, queue string) {
			t.Helper()
			client.CreateTopic(t, queue, partitions, nil)
			// A group that has worked before, and a producer that knows the topic.
			write(t, queue, partitions)
			drain(t, queue)
		},
		write: write, drain: drain,
		take:     func(t *testing.T) { t.Helper(); cluster.Brokers[0].Freeze(t) },
		giveBack: func(t *testing.T) { t.Helper(); cluster.Brokers[0].Thaw(t) },
		most:     partitions,
	}
}

// startRabbitMQ starts a node that is killed in its outage, with quorum queues. The built-in trigger asks by AMQP, which does not
// show messages in flight. It can ask the management API instead, whose numbers are seconds old.
func startRabbitMQ(t *testing.T) *broker {
	t.Helper()
	node := rabbitmqtest.Start(t, rabbitmqtest.Versions(t)[0], 1, nil).Nodes[0]
	client := node.NewClient(t)
	return &broker{
		connection: scaler.Connection{
			Engine: "rabbitmq", Namespaces: []string{"*"}, Addresses: []string{node.Address}, ManagementURL: node.Management,
			Username: rabbitmqtest.Username, Password: &scaler.Secret{Env: "RABBITMQ_PASSWORD"},
		},
		env:  []string{"RABBITMQ_PASSWORD=" + rabbitmqtest.Password},
		ours: func(queue string) map[string]string { return map[string]string{"queue": queue} },
		theirs: func(queue string) map[string]string {
			host := url.URL{Scheme: "amqp", User: url.UserPassword(rabbitmqtest.Username, rabbitmqtest.Password), Host: node.Address, Path: "/"}
			return map[string]string{"host": host.String(), "protocol": "amqp", "queueName": queue, "mode": "QueueLength", "value": "5"}
		},
		create: func(t *testing.T, queue string) { t.Helper(); client.Declare(t, queue, "quorum", nil) },
		write:  func(t *testing.T, queue string, n int) { t.Helper(); client.Publish(t, queue, n) },
		drain: func(t *testing.T, queue string) {
			t.Helper()
			node.Do(t, http.MethodDelete, "/api/queues/%2F/"+queue+"/contents", nil)
		},
		deliver:     func(t *testing.T, queue string, n int) { t.Helper(); client.Take(t, queue, n) },
		acknowledge: func(t *testing.T, queue string, n int) { t.Helper(); client.Ack(t, queue, n) },
		take:        func(t *testing.T) { t.Helper(); node.Kill() },
		giveBack: func(t *testing.T) {
			t.Helper()
			node.Restart(t)
			client = node.NewClient(t)
		},
		most: 6,
	}
}
