package rabbitmq_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq/rabbitmqtest"
)

// open opens a source that lists the queues often, and is patient.
func open(t testing.TB, n *rabbitmqtest.Node, more map[string]any) backlog.Source {
	t.Helper()
	all := map[string]any{"managementInterval": interval, "answerTimeout": rabbitmqtest.Patience, "dialTimeout": rabbitmqtest.Patience}
	maps.Copy(all, more)
	if address, set := more["managementURL"]; set && address == nil {
		delete(all, "managementInterval")
	}
	return backlogtest.Open(t, rabbitmq.Engine(), settings(n, n.Address, all))
}

// await reads a query until the reading fits.
func await(t testing.TB, source backlog.Source, q backlog.Query, what string, fits func(backlog.Reading) bool) backlog.Reading {
	t.Helper()
	var last backlog.Result
	for deadline := time.Now().Add(rabbitmqtest.Patience); ; time.Sleep(10 * time.Millisecond) {
		if last = backlogtest.ReadOnce(t, source, q)[0]; last.Err == nil && !last.Pending && fits(last.Reading) {
			return last.Reading
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: the last result is %+v", what, last)
		}
	}
}

// TestInFlight: of ten messages three are held by a consumer. AMQP alone knows of seven.
func TestInFlight(t *testing.T) {
	t.Parallel()
	for _, version := range rabbitmqtest.Versions(t) {
		for _, kind := range []string{"classic", "quorum"} {
			t.Run(version+"/"+kind, func(t *testing.T) {
				t.Parallel()
				n := node(t, version)
				client, source := n.NewClient(t), open(t, n, nil)
				q := query(queueName("in-flight"))
				client.Declare(t, q.Queue, kind, nil)
				client.Publish(t, q.Queue, 10)
				consumer := client.Consume(t, q.Queue, 3)
				for range 3 {
					consumer.Next(t)
				}
				r := await(t, source, q, "7 ready and 3 in flight", func(r backlog.Reading) bool {
					return r.Ready == 7 && r.InFlight == backlog.Exactly(3) && r.Quality == backlog.Exact
				})
				// Before 4.3 a quorum queue returns the messages in flight as its consumers.
				if known := kind == "classic" || version == "4.3"; r.Consumers.Known != known || known && r.Consumers.N != 1 {
					t.Errorf("%s %s: one consumer reads as %+v", version, kind, r.Consumers)
				}
				if r.Missing || r.Paused || r.MaxUseful != 0 || !strings.Contains(r.Epoch, "@") || r.Warning != "" {
					t.Errorf("the reading is %+v", r)
				}
				if server := source.Status().Server; !strings.HasPrefix(server, "rabbitmq "+version+".") {
					t.Errorf("the server is %q", server)
				}
			})
		}
	}
}

// TestStuckConsumer: a consumer holds what it was delivered and acknowledges nothing, so that the server
// delivers nothing more. The backlog stays what it is. In its mode ExpectedQueueConsumptionTime KEDA
// reports its activation value then, which is 0, because the rate of deliveries is 0.
func TestStuckConsumer(t *testing.T) {
	t.Parallel()
	n := latest(t)
	client, source := n.NewClient(t), open(t, n, nil)
	q := query(queueName("stuck"))
	client.Declare(t, q.Queue, "classic", nil)
	client.Publish(t, q.Queue, 200)
	client.Consume(t, q.Queue, 1).Next(t)
	exact := 0
	rabbitmqtest.Eventually(t, "200 for a while", func() bool {
		r := backlogtest.ReadOnce(t, source, q)[0]
		if r.Err == nil && r.Reading.Backlog() < 200 {
			t.Fatalf("200 messages behind a stuck consumer read as %+v", r)
		}
		if r.Err == nil && !r.Pending && r.Reading.Quality == backlog.Exact && r.Reading.InFlight == backlog.Exactly(1) {
			exact++
		}
		return exact > 20
	})
}

// TestTakenIsNoZero: workers take all messages at once. Until the management API knows of them, which
// takes seconds in a quorum queue, what was ready counts as in flight.
func TestTakenIsNoZero(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"classic", "quorum"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			n := latest(t)
			client := n.NewClient(t)
			// The interval is the default one, of five seconds.
			source := backlogtest.Open(t, rabbitmq.Engine(), settings(n, n.Address, nil))
			q := query(queueName("taken"))
			client.Declare(t, q.Queue, kind, nil)
			client.Publish(t, q.Queue, 5)
			await(t, source, q, "5 ready", func(r backlog.Reading) bool { return r.Ready == 5 })
			consumer := client.Consume(t, q.Queue, 5)
			for range 5 {
				consumer.Next(t)
			}
			exact := 0
			rabbitmqtest.Eventually(t, "5 in flight for a while", func() bool {
				r := backlogtest.ReadOnce(t, source, q)[0]
				if r.Err == nil && r.Reading.Backlog() < 5 {
					t.Fatalf("5 messages that were taken read as %+v", r)
				}
				if r.Err == nil && !r.Pending && r.Reading.Quality == backlog.Exact {
					exact++
				}
				return exact > 50
			})
			if err := consumer.Ack(t, 5); err != nil {
				t.Fatal(err)
			}
			await(t, source, q, "0", func(r backlog.Reading) bool { return r.Backlog() == 0 && r.Quality == backlog.Exact })
		})
	}
}

// TestStreamsAreRejected: a stream answers a passive declaration with what it retains, or with 0 right
// after it was written to. Neither is a backlog.
func TestStreamsAreRejected(t *testing.T) {
	t.Parallel()
	for _, version := range rabbitmqtest.Versions(t) {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			n := node(t, version)
			client, source := n.NewClient(t), open(t, n, nil)
			prefix := queueName("streamed")
			client.Declare(t, prefix+".stream", "stream", nil)
			client.Publish(t, prefix+".stream", 10)
			client.Declare(t, prefix+".queue", "classic", nil)
			client.Publish(t, prefix+".queue", 2)
			for range 20 {
				r := backlogtest.Read(t, source, query(prefix+".stream"))[0]
				if !errors.Is(r.Err, backlog.ErrMismatch) || !strings.Contains(r.Err.Error(), "stream") {
					t.Fatalf("a stream reads as %+v, want ErrMismatch", r)
				}
			}
			r := await(t, source, query(prefix+".*"), "2 in the queue", func(r backlog.Reading) bool { return r.Backlog() == 2 })
			if len(r.Parts) != 1 || !strings.Contains(r.Warning, "streams match") {
				t.Errorf("a pattern that matches a stream reads as %+v", r)
			}
		})
	}
}

// TestMissingIsAskedSeldom: each question for a queue that does not exist closes a channel and writes
// an error to the log of the server. A queue that appears is noticed even so.
func TestMissingIsAskedSeldom(t *testing.T) {
	t.Parallel()
	n := latest(t)
	client, source := n.NewClient(t), open(t, n, nil)
	q := query(queueName("absent"))
	for range 200 {
		if r := backlogtest.MustRead(t, source, q); !r.Missing || r.Backlog() != 0 {
			t.Fatalf("a queue that does not exist reads as %+v", r)
		}
		time.Sleep(5 * time.Millisecond)
	}
	if lines := strings.Count(n.Log(), "no queue '"+q.Queue+"'"); lines == 0 || lines > 20 {
		t.Errorf("200 reads of a queue that does not exist wrote %d lines to the log of the server", lines)
	}
	client.Declare(t, q.Queue, "classic", nil)
	client.Publish(t, q.Queue, 1)
	await(t, source, q, "1 ready", func(r backlog.Reading) bool { return r.Ready == 1 })
	n.Do(t, http.MethodDelete, "/api/queues/%2F/"+q.Queue, nil)
	await(t, source, q, "missing again", func(r backlog.Reading) bool { return r.Missing })
}

// TestExclusiveQueue is one that another connection has to itself.
func TestExclusiveQueue(t *testing.T) {
	t.Parallel()
	n := latest(t)
	source := open(t, n, nil)
	conn, err := amqp.Dial("amqp://" + rabbitmqtest.Username + ":" + rabbitmqtest.Password + "@" + n.Address + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	channel, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	prefix := queueName("private")
	if _, err := channel.QueueDeclare(prefix+".exclusive", false, false, true, false, nil); err != nil {
		t.Fatal(err)
	}
	if r := backlogtest.Read(t, source, query(prefix+".exclusive"))[0]; !errors.Is(r.Err, backlog.ErrMismatch) || !strings.Contains(r.Err.Error(), "exclusive") {
		t.Errorf("an exclusive queue reads as %+v, want ErrMismatch", r)
	}
	if r := await(t, source, query(prefix+"*"), "no queue", func(backlog.Reading) bool { return true }); !r.Missing {
		t.Errorf("a pattern that matches an exclusive queue alone reads as %+v", r)
	}
}

// TestManyQueues: more queues than a page of the management API has, by a pattern, over one connection
// of AMQP, and triggers for each of them. KEDA refuses more than one page, and the average that it
// returns for half a message in each queue is 0.
func TestManyQueues(t *testing.T) {
	t.Parallel()
	n := rabbitmqtest.Start(t, rabbitmqtest.Versions(t)[0], 1, nil).Nodes[0] // listings of the others stay short
	client, source := n.NewClient(t), open(t, n, map[string]any{"connectionName": "many", "managementInterval": time.Second})
	prefix := queueName("many")
	const queues = 600
	queries := make([]backlog.Query, queues)
	for i := range queries {
		queries[i] = query(prefix + "." + time.Duration(i).String())
		client.Declare(t, queries[i].Queue, "classic", nil)
	}
	for _, q := range queries[:100] {
		client.Publish(t, q.Queue, 3)
	}
	r := await(t, source, query(prefix+".*"), "300 ready", func(r backlog.Reading) bool { return r.Ready == 300 })
	if len(r.Parts) != queues || r.InFlight != backlog.Exactly(0) || r.Missing {
		t.Errorf("%d parts, %+v in flight", len(r.Parts), r.InFlight)
	}
	for i, r := range backlogtest.Read(t, source, queries...) {
		if want := int64(3); r.Err != nil || i < 100 && r.Reading.Ready != want || i >= 100 && r.Reading.Ready != 0 {
			t.Fatalf("queue %d reads as %+v", i, r)
		}
	}
	var connections []struct {
		Properties struct {
			Name string `json:"connection_name"`
		} `json:"client_properties"`
	}
	rabbitmqtest.Eventually(t, "the connection is listed", func() bool {
		if err := json.Unmarshal(n.Do(t, http.MethodGet, "/api/connections", nil), &connections); err != nil {
			t.Fatal(err)
		}
		count := 0
		for _, c := range connections {
			if c.Properties.Name == "many" {
				count++
			}
		}
		if count > 1 {
			t.Fatalf("%d connections, want one", count)
		}
		return count == 1
	})
}

// TestPriorityAndDeadLetters: a queue with priorities counts all of them, messages that expire count
// where they are dead-lettered to, and one consumer at a time is the limit of a queue that says so.
func TestPriorityAndDeadLetters(t *testing.T) {
	t.Parallel()
	for _, version := range rabbitmqtest.Versions(t) {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			n := node(t, version)
			client, source := n.NewClient(t), open(t, n, nil)
			priority, expiring, dead, single := queueName("priority"), queueName("expiring"), queueName("dead"), queueName("single")
			client.Declare(t, priority, "classic", amqp.Table{"x-max-priority": int32(5)})
			client.Declare(t, dead, "classic", nil)
			client.Declare(t, expiring, "classic", amqp.Table{"x-message-ttl": int32(50), "x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead})
			client.Declare(t, single, "quorum", amqp.Table{"x-single-active-consumer": true})
			client.Publish(t, priority, 4)
			client.Publish(t, expiring, 3)
			client.Publish(t, single, 2)
			await(t, source, query(priority), "4 ready", func(r backlog.Reading) bool { return r.Ready == 4 && r.MaxUseful == 0 })
			await(t, source, query(dead), "3 dead letters", func(r backlog.Reading) bool { return r.Ready == 3 })
			await(t, source, query(expiring), "0 left", func(r backlog.Reading) bool { return r.Backlog() == 0 && !r.Missing })
			await(t, source, query(single), "one worker is of use", func(r backlog.Reading) bool { return r.Ready == 2 && r.MaxUseful == 1 })
		})
	}
}

// TestWithoutManagement: what AMQP alone can know. Messages in flight are unknown; an empty queue
// with consumers, where messages were a moment ago, is not empty.
func TestWithoutManagement(t *testing.T) {
	t.Parallel()
	n := latest(t)
	client, source := n.NewClient(t), open(t, n, map[string]any{"managementURL": nil})
	q := query(queueName("alone"))
	client.Declare(t, q.Queue, "quorum", nil)
	client.Publish(t, q.Queue, 2)
	r := await(t, source, q, "2 ready", func(r backlog.Reading) bool { return r.Ready == 2 })
	if r.InFlight.Known || r.Quality != backlog.LowerBound || !strings.Contains(r.Warning, "managementURL") {
		t.Errorf("without a management API the reading is %+v", r)
	}
	consumer := client.Consume(t, q.Queue, 2)
	consumer.Next(t)
	consumer.Next(t)
	for range 50 {
		if r := backlogtest.ReadOnce(t, source, q)[0]; r.Err == nil && r.Reading.Backlog() == 0 {
			t.Fatalf("2 messages that were taken read as %+v", r)
		}
	}
	if err := consumer.Ack(t, 2); err != nil {
		t.Fatal(err)
	}
	consumer.Stop(t)
	began := time.Now()
	await(t, source, q, "0", func(r backlog.Reading) bool { return r.Backlog() == 0 })
	if took := time.Since(began); took < 5*time.Second {
		t.Errorf("an empty queue of unknown type was believed after %s", took)
	}
}

// TestFrozenServer: a read ends with its context although the library knows none, and with
// answerTimeout without one.
func TestFrozenServer(t *testing.T) {
	t.Parallel()
	server := rabbitmqtest.Start(t, rabbitmqtest.Versions(t)[0], 1, nil)
	n := server.Nodes[0]
	client, source := n.NewClient(t), open(t, n, map[string]any{"answerTimeout": 2 * time.Second})
	q := query(queueName("frozen"))
	client.Declare(t, q.Queue, "quorum", nil)
	client.Publish(t, q.Queue, 1)
	await(t, source, q, "1 ready", func(r backlog.Reading) bool { return r.Ready == 1 })
	n.Freeze(t)
	for i := range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		began := time.Now()
		r := source.Read(ctx, []backlog.Query{q}, nil)[0]
		cancel()
		if took := time.Since(began); !errors.Is(r.Err, backlog.ErrUnavailable) || took > 20*time.Second {
			t.Errorf("read %d of a frozen server is %+v after %s", i, r, took)
		}
	}
	began := time.Now()
	if r := source.Read(t.Context(), []backlog.Query{q}, nil)[0]; !errors.Is(r.Err, backlog.ErrUnavailable) || time.Since(began) > time.Minute {
		t.Errorf("a read without a bound is %+v after %s", r, time.Since(began))
	}
	n.Thaw(t)
	await(t, source, q, "1 ready again", func(r backlog.Reading) bool { return r.Ready == 1 })
	before := backlogtest.MustRead(t, source, q).Epoch
	n.Kill()
	if r := backlogtest.ReadOnce(t, source, q)[0]; !errors.Is(r.Err, backlog.ErrUnavailable) {
		t.Errorf("a dead server reads as %+v", r)
	}
	n.Restart(t)
	r := await(t, source, q, "1 ready after the restart", func(r backlog.Reading) bool { return r.Ready == 1 })
	if r.Epoch == before {
		t.Errorf("the epoch is %q before and after a restart", before)
	}
}

// TestManagementFails: what is ready counts while the management API does not answer. Nothing is 0.
func TestManagementFails(t *testing.T) {
	t.Parallel()
	n := latest(t)
	address, err := url.Parse(n.Management)
	if err != nil {
		t.Fatal(err)
	}
	proxy := backlogtest.NewProxy(t, address.Host)
	client := n.NewClient(t)
	source := open(t, n, map[string]any{"managementURL": "http://" + proxy.Addr(), "answerTimeout": 500 * time.Millisecond})
	full, empty := query(queueName("full")), query(queueName("empty"))
	client.Declare(t, full.Queue, "classic", nil)
	client.Declare(t, empty.Queue, "classic", nil)
	client.Publish(t, full.Queue, 3)
	await(t, source, full, "3 ready", func(r backlog.Reading) bool { return r.Ready == 3 })
	await(t, source, empty, "0", func(r backlog.Reading) bool { return r.Backlog() == 0 })
	for name, outage := range map[string]func(){"refused": proxy.Refuse, "silent": proxy.BlackHole} {
		outage()
		await(t, source, full, name+": 3 ready, and nothing known of those in flight", func(r backlog.Reading) bool {
			return r.Ready == 3 && !r.InFlight.Known && r.Warning != ""
		})
		rabbitmqtest.Eventually(t, name+": an empty queue is unknown", func() bool {
			r := backlogtest.ReadOnce(t, source, empty)[0]
			return errors.Is(r.Err, backlog.ErrUnavailable) && strings.Contains(r.Err.Error(), "management")
		})
		proxy.Restore()
		await(t, source, empty, "0 again", func(r backlog.Reading) bool { return r.Backlog() == 0 && r.Warning == "" })
	}
}
