package rabbitmq_test

import (
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq/rabbitmqtest"
)

// interval is that of the listings in the conformance tests.
const interval = 100 * time.Millisecond

// TestConformance holds the engine to the suite, on each version.
func TestConformance(t *testing.T) {
	t.Parallel()
	for _, version := range rabbitmqtest.Versions(t) {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			server := node(t, version)
			client := server.NewClient(t)
			backlogtest.Exercise(t, backlogtest.Harness{
				Engine:  rabbitmq.Engine(),
				Address: server.Address,
				Connection: func(address string) backlog.Connection {
					return settings(server, address, map[string]any{
						"managementInterval": interval, "dialTimeout": time.Minute, "answerTimeout": time.Minute, "heartbeat": time.Minute, "allowTap": true,
					})
				},
				Cases: []backlogtest.Case{conformanceCase(client, "classic"), conformanceCase(client, "quorum"), tappedCase(client)},
			})
		})
	}
}

// conformanceCase has queues of one type.
func conformanceCase(client *rabbitmqtest.Client, kind string) backlogtest.Case {
	return backlogtest.Case{
		Name:  kind,
		Query: func(testing.TB) backlog.Query { return query(queueName(kind)) },
		Add: func(t testing.TB, q backlog.Query, n int) {
			t.Helper()
			client.Declare(t, q.Queue, kind, nil)
			client.Publish(t, q.Queue, n)
		},
		Take: func(t testing.TB, q backlog.Query, n int) {
			t.Helper()
			client.Take(t, q.Queue, n)
		},
		Ack: func(t testing.TB, q backlog.Query, n int) {
			t.Helper()
			client.Ack(t, q.Queue, n)
			// A read takes no listing that is older than two intervals, or four times what it took.
			time.Sleep(30 * interval)
		},
		Corrupt: func(t testing.TB, q backlog.Query) {
			t.Helper()
			client.Declare(t, q.Queue, "stream", nil)
		},
		EmptyExists: true,
	}
}

// tappedCase has queues whose exchange is tapped. Messages come past it. The suite wants every reading to
// be armed where any is, and a queue with work has no tap, so TestTap has the wake-ups.
func tappedCase(client *rabbitmqtest.Client) backlogtest.Case {
	c := conformanceCase(client, "classic")
	c.Name, c.Query = "tapped", func(testing.TB) backlog.Query { return tapped(queueName("tapped"), "amq.topic", "key") }
	return c
}
