package sqs_test

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/sqs"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/sqs/sqstest"
)

// shared is the server that several tests share, started once.
var shared struct {
	mu     sync.Mutex
	server *sqstest.Server
}

func TestMain(m *testing.M) {
	backlogtest.Main(closing{m}, goleak.IgnoreCurrent())
}

// closing closes the shared server after the tests.
type closing struct{ m *testing.M }

// Run implements goleak.TestingM.
func (c closing) Run() int {
	code := c.m.Run()
	if shared.server != nil {
		shared.server.Close()
	}
	return code
}

// one returns the shared server.
func one(t testing.TB) *sqstest.Server {
	t.Helper()
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.server == nil {
		sqstest.Available(t)
		server, err := sqstest.Launch(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		shared.server = server
	}
	return shared.server
}

// names counts the queues of the tests.
var names atomic.Int64

// queueName returns a name that no other queue has.
func queueName(prefix string) string { return fmt.Sprintf("%s-%d", prefix, names.Add(1)) }

// query returns the query for a queue.
func query(queue string) backlog.Query { return backlog.Query{Layout: "queue", Queue: queue} }

// settings are those of a connection to an endpoint, which believes a queue soon that is empty; more adds to
// them or replaces them, and nil takes one away.
func settings(endpoint string, more map[string]any) backlog.Connection {
	values := map[string]any{
		"region": sqstest.Region, "endpoint": endpoint, "accessKeyID": sqstest.AccessKeyID, "secretAccessKey": backlog.NewSecret(sqstest.SecretKey),
		"emptyFor": time.Millisecond, "callsPerMinute": int64(10_000_000),
	}
	maps.Copy(values, more)
	maps.DeleteFunc(values, func(_ string, value any) bool { return value == nil })
	return backlog.Connection{Name: "queues", Engine: "sqs", Settings: backlog.NewSettings(values)}
}

// open opens a source for a server.
func open(t testing.TB, server *sqstest.Server, more map[string]any) backlog.Source {
	t.Helper()
	return backlogtest.Open(t, sqs.Engine(), settings(server.URL(), more))
}

// eventually waits until a condition holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(sqstest.Patience); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %s", what, sqstest.Patience)
		}
	}
}
