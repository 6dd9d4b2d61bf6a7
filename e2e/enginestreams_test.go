package e2e_test

import (
	"os"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/backlog-scaler/backlog-scaler/e2e/scaler"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/jetstream/jetstreamtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/sqs/sqstest"
)

// TestMain serves as a server of NATS, where this program was started as one.
func TestMain(m *testing.M) {
	if code, served := jetstreamtest.ServeChild(); served {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// workers is the consumer of each stream.
const workers = "workers"

// startJetStream starts a server that is frozen in its outage. A queue is a stream with one consumer. The built-in trigger asks the
// monitoring of the server.
func startJetStream(t *testing.T) *broker {
	t.Helper()
	cluster := jetstreamtest.Start(t, 1, jetstreamtest.Children())
	node, client := cluster.Nodes[0], cluster.NewClient(t)
	return &broker{
		builtin:    "nats-jetstream",
		connection: scaler.Connection{Engine: "jetstream", Namespaces: []string{"*"}, Addresses: cluster.Addresses()},
		ours:       func(queue string) map[string]string { return map[string]string{"stream": queue, "consumer": workers} },
		theirs: func(queue string) map[string]string {
			return map[string]string{
				"natsServerMonitoringEndpoint": node.Monitor, "account": "$G", "stream": queue, "consumer": workers, "lagThreshold": "5",
			}
		},
		create: func(t *testing.T, queue string) {
			t.Helper()
			client.Stream(t, jetstream.StreamConfig{Name: queue})
			client.Consumer(t, queue, jetstream.ConsumerConfig{Durable: workers, AckPolicy: jetstream.AckExplicitPolicy})
		},
		write: func(t *testing.T, queue string, n int) { t.Helper(); client.Publish(t, queue+".new", n) },
		drain: func(t *testing.T, queue string) {
			t.Helper()
			stream, err := client.JS.Stream(t.Context(), queue)
			check(t, err)
			check(t, stream.Purge(t.Context()))
		},
		deliver:     func(t *testing.T, queue string, n int) { t.Helper(); client.Take(t, queue, workers, n) },
		acknowledge: func(t *testing.T, queue string, n int) { t.Helper(); client.Ack(t, queue, workers, n) },
		take:        func(t *testing.T) { t.Helper(); node.Freeze(t) },
		giveBack:    func(t *testing.T) { t.Helper(); node.Thaw(t) },
		most:        6,
	}
}

// startSQS starts a server that speaks the protocol of SQS and is frozen in its outage. Both triggers poll every second. Its numbers are
// never behind, so that two seconds are enough to believe that a queue is empty.
func startSQS(t *testing.T) *broker {
	t.Helper()
	server := sqstest.Start(t)
	client := server.NewClient()
	held := make(map[string][]string)
	return &broker{
		builtin: "aws-sqs-queue",
		connection: scaler.Connection{
			Engine: "sqs", Namespaces: []string{"*"}, Region: sqstest.Region, Endpoint: server.URL(),
			AccessKeyID: sqstest.AccessKeyID, SecretAccessKey: &scaler.Secret{Env: "SQS_SECRET"},
			CallsPerMinute: 100_000, ActivePoll: "1s", IdlePoll: "1s", EmptyFor: "2s",
		},
		env:  []string{"SQS_SECRET=" + sqstest.SecretKey},
		ours: func(queue string) map[string]string { return map[string]string{"queue": queue} },
		theirs: func(queue string) map[string]string {
			// KEDA's operator has the credentials in its environment: see TestEngines.
			return map[string]string{
				"queueURL": client.URL(queue), "queueLength": "5", "awsRegion": sqstest.Region, "awsEndpoint": server.URL(), "identityOwner": "operator",
			}
		},
		create: func(t *testing.T, queue string) { t.Helper(); client.Create(t, queue, nil) },
		write:  func(t *testing.T, queue string, n int) { t.Helper(); client.Send(t, queue, n, 0) },
		drain: func(t *testing.T, queue string) {
			t.Helper()
			url := client.URL(queue)
			_, err := client.PurgeQueue(t.Context(), &sqs.PurgeQueueInput{QueueUrl: &url})
			check(t, err)
		},
		deliver: func(t *testing.T, queue string, n int) { t.Helper(); held[queue] = client.Receive(t, queue, n) },
		acknowledge: func(t *testing.T, queue string, n int) {
			t.Helper()
			client.Delete(t, queue, held[queue][:n]...)
		},
		take:     func(t *testing.T) { t.Helper(); server.Freeze(t) },
		giveBack: func(t *testing.T) { t.Helper(); server.Thaw(t) },
		most:     6,
	}
}
