package faults

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq/rabbitmqtest"
)

// rabbit is a server of RabbitMQ with a quorum queue.
type rabbit struct {
	server *rabbitmqtest.Server
	secret *secret
	// node is where messages are published.
	node *rabbitmqtest.Node
}

// rabbitNodes starts a server of so many nodes.
func rabbitNodes(n int) func(testing.TB) *Subject {
	return func(t testing.TB) *Subject {
		t.Helper()
		return newRabbitNodes(t, n)
	}
}

func newRabbitNodes(t testing.TB, n int) *Subject {
	t.Helper()
	r := &rabbit{server: rabbitmqtest.Start(t, rabbitmqtest.Versions(t)[0], n, nil), secret: newSecret(t)}
	r.node = r.server.Nodes[0]
	r.setUp(t)
	var addresses []string
	s := &Subject{
		Title:    titled("RabbitMQ "+r.server.Version, n, "nodes"),
		Metadata: map[string]string{"queue": "jobs"},
		Put: func(t testing.TB, n int) {
			t.Helper()
			r.node.NewClient(t).Publish(t, "jobs", n)
		},
		Garbage: "\x01\x00\x01\x7f\xff\xff\xff",
	}
	for _, node := range r.server.Nodes {
		proxy := backlogtest.NewProxy(t, node.Address)
		s.Proxies, addresses = append(s.Proxies, proxy), append(addresses, proxy.Addr())
	}
	// The management API is that of the node that is never killed.
	last := r.server.Nodes[n-1]
	management := backlogtest.NewProxy(t, strings.TrimPrefix(last.Management, "http://"))
	s.Proxies = append(s.Proxies, management)
	s.Connection = func() []string {
		return append(r.secret.login(), addressList(addresses...), "managementURL: 'http://"+management.Addr()+"'")
	}
	s.Causes = r.causes(s)
	if n > 1 {
		s.Causes = map[Fault]Cause{Failover: func(t testing.TB) func() {
			t.Helper()
			// The leader of the queue is on the node where it was declared.
			r.node.Kill()
			return func() {
				r.node = last
				r.awaitLeader(t)
			}
		}}
	}
	return s
}

// setUp makes the queue and the user.
func (r *rabbit) setUp(t testing.TB) {
	t.Helper()
	r.node.NewClient(t).Declare(t, "jobs", "quorum", nil)
	r.setPassword(t)
	r.permit(t, ".*")
}

func (r *rabbit) setPassword(t testing.TB) {
	t.Helper()
	r.node.Do(t, http.MethodPut, "/api/users/"+user, map[string]any{"password": r.secret.value(), "tags": "management"})
}

func (r *rabbit) permit(t testing.TB, read string) {
	t.Helper()
	r.node.Do(t, http.MethodPut, "/api/permissions/%2F/"+user, map[string]any{"configure": "^$", "write": "^$", "read": read})
}

func (r *rabbit) causes(s *Subject) map[Fault]Cause {
	return map[Fault]Cause{
		Down: func(t testing.TB) func() {
			t.Helper()
			r.node.Kill()
			return func() { r.node.Restart(t) }
		},
		Frozen: frozen(func() freezer { return r.node }),
		Emptied: emptied(func(t testing.TB) {
			t.Helper()
			r.node.Do(t, http.MethodDelete, "/api/queues/%2F/jobs", nil)
			r.node.Kill()
			r.node.Restart(t)
			r.setUp(t)
		}, s.Proxies...),
		Password: func(t testing.TB) func() {
			t.Helper()
			r.secret.change()
			r.setPassword(t)
			// A server verifies the login and the rights of new connections only.
			s.cut()
			return func() { r.secret.write(t) }
		},
		Permission: func(t testing.TB) func() {
			t.Helper()
			r.permit(t, "^$")
			s.cut()
			return func() { r.permit(t, ".*") }
		},
	}
}

// awaitLeader waits until a node that runs leads the queue.
func (r *rabbit) awaitLeader(t testing.TB) {
	t.Helper()
	await(t, "the queue has a leader", func() bool {
		var queue struct {
			Leader string `json:"leader"`
			State  string `json:"state"`
		}
		if err := json.Unmarshal(r.node.Do(t, http.MethodGet, "/api/queues/%2F/jobs", nil), &queue); err != nil {
			t.Fatal(err)
		}
		return queue.State == "running" && queue.Leader != "" && queue.Leader != r.server.Nodes[0].Name
	})
}
