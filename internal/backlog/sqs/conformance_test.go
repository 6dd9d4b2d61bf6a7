package sqs_test

import (
	"sync"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/sqs"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/sqs/sqstest"
)

// TestConformance holds the engine to the suite, on standard and FIFO queues.
func TestConformance(t *testing.T) {
	t.Parallel()
	server := one(t)
	backlogtest.Exercise(t, backlogtest.Harness{
		Engine:  sqs.Engine(),
		Address: server.Addr(),
		Connection: func(address string) backlog.Connection {
			return settings("http://"+address, map[string]any{"answerTimeout": time.Minute})
		},
		Cases: []backlogtest.Case{
			conformanceCase(server.NewClient(), "standard", "", nil),
			conformanceCase(server.NewClient(), "fifo", ".fifo", map[string]string{"FifoQueue": "true"}),
		},
		GarbageIsMismatch: true,
	})
}

// conformanceCase has queues of one type.
func conformanceCase(client *sqstest.Client, name, suffix string, attributes map[string]string) backlogtest.Case {
	var mu sync.Mutex
	handles := make(map[string][]string)
	return backlogtest.Case{
		Name:  name,
		Query: func(testing.TB) backlog.Query { return query(queueName(name) + suffix) },
		Add: func(t testing.TB, q backlog.Query, n int) {
			t.Helper()
			client.Create(t, q.Queue, attributes)
			client.Send(t, q.Queue, n, 0)
		},
		Take: func(t testing.TB, q backlog.Query, n int) {
			t.Helper()
			mu.Lock()
			defer mu.Unlock()
			handles[q.Queue] = append(handles[q.Queue], client.Receive(t, q.Queue, n)...)
		},
		Ack: func(t testing.TB, q backlog.Query, n int) {
			t.Helper()
			mu.Lock()
			defer mu.Unlock()
			client.Delete(t, q.Queue, handles[q.Queue][:n]...)
			handles[q.Queue] = handles[q.Queue][n:]
		},
		EmptyExists: true,
	}
}
