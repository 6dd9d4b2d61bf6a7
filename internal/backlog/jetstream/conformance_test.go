package jetstream_test

import (
	"testing"
	"time"

	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/jetstream"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/jetstream/jetstreamtest"
)

// TestConformance holds the engine to the suite, woken and polled.
func TestConformance(t *testing.T) {
	t.Parallel()
	server := one(t)
	client := server.NewClient(t)
	for _, wakeUp := range []string{"subscribe", "poll"} {
		t.Run(wakeUp, func(t *testing.T) {
			t.Parallel()
			backlogtest.Exercise(t, backlogtest.Harness{
				Engine:  jetstream.Engine(),
				Address: server.Nodes[0].Address,
				Connection: func(address string) backlog.Connection {
					return settings([]string{address}, map[string]any{"dialTimeout": time.Minute, "answerTimeout": time.Minute, "wakeUp": wakeUp})
				},
				Cases: []backlogtest.Case{
					conformanceCase(client, "limits", natsjs.LimitsPolicy),
					conformanceCase(client, "interest", natsjs.InterestPolicy),
					conformanceCase(client, "workqueue", natsjs.WorkQueuePolicy),
				},
				// A queue is armed while it is idle only: see TestWakes.
			})
		})
	}
}

// conformanceCase has streams of one retention.
func conformanceCase(client *jetstreamtest.Client, name string, retention natsjs.RetentionPolicy) backlogtest.Case {
	return backlogtest.Case{
		Name:  name,
		Query: func(testing.TB) backlog.Query { return query(streamName(name)) },
		Add: func(t testing.TB, q backlog.Query, n int) {
			t.Helper()
			client.Stream(t, natsjs.StreamConfig{Name: q.Queue, Retention: retention})
			client.Consumer(t, q.Queue, natsjs.ConsumerConfig{Durable: worker, AckPolicy: natsjs.AckExplicitPolicy})
			before := counted(t, client, q.Queue)
			client.Publish(t, q.Queue+".new", n)
			// A server counts a message a moment after it has confirmed it.
			eventually(t, "the messages are counted", func() bool { return counted(t, client, q.Queue) == before+n })
		},
		Take: func(t testing.TB, q backlog.Query, n int) {
			t.Helper()
			client.Take(t, q.Queue, worker, n)
		},
		Ack: func(t testing.TB, q backlog.Query, n int) {
			t.Helper()
			client.Ack(t, q.Queue, worker, n)
		},
		EmptyExists: true,
	}
}

// counted returns how many messages the server counts for the consumer of a stream.
func counted(t testing.TB, client *jetstreamtest.Client, stream string) int {
	t.Helper()
	consumer, err := client.JS.Consumer(t.Context(), stream, worker)
	if err != nil {
		t.Fatal(err)
	}
	return int(consumer.CachedInfo().NumPending) + consumer.CachedInfo().NumAckPending
}
