package rabbitmq_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq/rabbitmqtest"
)

// servers are those that several tests share: one node of each version, started once.
var servers shared

// A shared has servers by their versions.
type shared struct {
	mu      sync.Mutex
	started map[string]*rabbitmqtest.Server
}

func TestMain(m *testing.M) {
	backlogtest.Main(closing{m})
}

// closing closes the shared servers after the tests.
type closing struct{ m *testing.M }

// Run implements goleak.TestingM.
func (c closing) Run() int {
	code := c.m.Run()
	for _, s := range servers.started {
		s.Close()
	}
	return code
}

// node returns the shared node of a version.
func node(t testing.TB, version string) *rabbitmqtest.Node {
	t.Helper()
	servers.mu.Lock()
	defer servers.mu.Unlock()
	if s := servers.started[version]; s != nil {
		return s.Nodes[0]
	}
	s, err := rabbitmqtest.Launch(context.Background(), version, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	if servers.started == nil {
		servers.started = map[string]*rabbitmqtest.Server{}
	}
	servers.started[version] = s
	return s.Nodes[0]
}

// latest returns the shared node of the latest version.
func latest(t testing.TB) *rabbitmqtest.Node {
	t.Helper()
	return node(t, rabbitmqtest.Versions(t)[0])
}

// names counts the queues of the tests.
var names atomic.Int64

// queueName returns a name that no other queue has.
func queueName(prefix string) string { return fmt.Sprintf("%s-%d", prefix, names.Add(1)) }

// query returns the query for a queue.
func query(queue string) backlog.Query { return backlog.Query{Layout: "queue", Queue: queue} }

// settings are those of a connection to a node; more adds to them or replaces them.
func settings(n *rabbitmqtest.Node, address string, more map[string]any) backlog.Connection {
	values := map[string]any{
		"addresses": []string{address}, "username": rabbitmqtest.Username, "password": backlog.NewSecret(rabbitmqtest.Password),
		"managementURL": n.Management,
	}
	for name, value := range more {
		if value == nil {
			delete(values, name)
			continue
		}
		values[name] = value
	}
	return backlog.Connection{Name: "rabbit", Engine: "rabbitmq", Settings: backlog.NewSettings(values)}
}
