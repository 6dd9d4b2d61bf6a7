package rabbitmq_test

import (
	"maps"
	"net"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rabbitmq/rabbitmq-stream-go-client/pkg/amqp"
	client "github.com/rabbitmq/rabbitmq-stream-go-client/pkg/stream"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq/rabbitmqtest"
)

// A streamClient is RabbitMQ's own client, which publishes to streams and consumes them as workers do.
type streamClient struct{ environment *client.Environment }

// newStreamClient returns a client of a node, which is closed with the test.
func newStreamClient(t testing.TB, n *rabbitmqtest.Node) *streamClient {
	t.Helper()
	host, text, err := net.SplitHostPort(n.Stream)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	environment, err := client.NewEnvironment(client.NewEnvironmentOptions().SetHost(host).SetPort(port).
		SetUser(rabbitmqtest.Username).SetPassword(rabbitmqtest.Password).SetRPCTimeout(rabbitmqtest.Patience))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = environment.Close() })
	return &streamClient{environment}
}

// declare makes a stream.
func (c *streamClient) declare(t testing.TB, name string, options *client.StreamOptions) {
	t.Helper()
	if err := c.environment.DeclareStream(name, options); err != nil {
		t.Fatalf("declare stream %q: %v", name, err)
	}
}

// publish adds n messages of a size, and returns when all are confirmed.
func (c *streamClient) publish(t testing.TB, name string, n, size int) {
	t.Helper()
	c.publishWith(t, name, n, size, nil)
}

// publishWith is publish with options of the producer.
func (c *streamClient) publishWith(t testing.TB, name string, n, size int, options *client.ProducerOptions) {
	t.Helper()
	producer, err := c.environment.NewProducer(name, options)
	if err != nil {
		t.Fatalf("publish to %q: %v", name, err)
	}
	confirmed := producer.NotifyPublishConfirmation()
	body := make([]byte, size)
	go func() {
		for range n {
			if err := producer.Send(amqp.NewMessage(body)); err != nil {
				t.Errorf("publish to %q: %v", name, err)
				return
			}
		}
	}()
	deadline := time.After(rabbitmqtest.Patience)
	for left := n; left > 0; {
		select {
		case some := <-confirmed:
			for _, one := range some {
				if !one.IsConfirmed() {
					t.Fatalf("a message to %q is not confirmed: %v", name, one.GetError())
				}
			}
			left -= len(some)
		case <-deadline:
			t.Fatalf("%d messages to %q are not confirmed", left, name)
		}
	}
	if err := producer.Close(); err != nil {
		t.Fatal(err)
	}
}

// process consumes the next n messages of a stream as a worker does: it stores the offset of the last
// one that it has processed, and goes on after the one that is stored.
func (c *streamClient) process(t testing.TB, name, consumer string, n int) {
	t.Helper()
	from := client.OffsetSpecification{}.First()
	if stored, err := c.environment.QueryOffset(consumer, name); err == nil {
		from = client.OffsetSpecification{}.Offset(stored + 1)
	}
	done := make(chan struct{})
	var handled atomic.Int64
	worker, err := c.environment.NewConsumer(name, func(at client.ConsumerContext, _ *amqp.Message) {
		if handled.Add(1) == int64(n) {
			if err := at.Consumer.StoreOffset(); err != nil {
				t.Errorf("store the offset of %q: %v", consumer, err)
			}
			close(done)
		}
	}, client.NewConsumerOptions().SetConsumerName(consumer).SetManualCommit().SetOffset(from))
	if err != nil {
		t.Fatalf("consume %q: %v", name, err)
	}
	select {
	case <-done:
	case <-time.After(rabbitmqtest.Patience):
		t.Fatalf("%d of %d messages of %q were delivered", handled.Load(), n, name)
	}
	want := worker.GetLastStoredOffset()
	// An offset is stored without an answer.
	rabbitmqtest.Eventually(t, "the offset is stored", func() bool {
		stored, err := c.environment.QueryOffset(consumer, name)
		return err == nil && stored == want
	})
	if err := worker.Close(); err != nil {
		t.Fatal(err)
	}
}

// streamQuery returns the query for the lag of a consumer.
func streamQuery(name, consumer string) backlog.Query {
	return backlog.Query{Layout: "stream", Queue: name, Params: backlog.NewParams(map[string]string{"consumer": consumer})}
}

// withMissing returns a query with missingOffset.
func withMissing(q backlog.Query, missing string) backlog.Query {
	q.Params = backlog.NewParams(map[string]string{"consumer": q.Params.Get("consumer"), "missingOffset": missing})
	return q
}

// openStreams opens a source that reads streams from a node, and is patient.
func openStreams(t testing.TB, n *rabbitmqtest.Node, more map[string]any) backlog.Source {
	t.Helper()
	all := map[string]any{"streamAddresses": []string{n.Stream}}
	maps.Copy(all, more)
	return open(t, n, all)
}

// streamVersions returns the versions whose streams can be read.
func streamVersions(t testing.TB) []string {
	t.Helper()
	var versions []string
	for _, version := range rabbitmqtest.Versions(t) {
		if version != "3.10" {
			versions = append(versions, version)
		}
	}
	return versions
}
