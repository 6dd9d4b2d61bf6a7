package faults

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/jetstream/jetstreamtest"
	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
)

// natsUsers are an administrator and the scaler, which may publish to subjects.
func natsUsers(password, subjects string) string {
	return fmt.Sprintf(`authorization { users: [
  { user: admin, password: admin }
  { user: %s, password: %q, permissions: { publish: [%s], subscribe: ["_INBOX.>", "jobs.>"] } }
] }`, user, password, subjects)
}

// natsAPI is what the scaler asks.
const natsAPI = `"$JS.API.INFO", "$JS.API.STREAM.INFO.jobs", "$JS.API.CONSUMER.INFO.jobs.workers"`

// natsStream is a stream with its consumer.
type natsStream struct {
	servers *jetstreamtest.Cluster
	client  *jetstreamtest.Client
	secret  *secret
}

// natsServers starts so many servers of NATS.
func natsServers(n int) func(testing.TB) *Subject {
	return func(t testing.TB) *Subject {
		t.Helper()
		return newNatsServers(t, n)
	}
}

func newNatsServers(t testing.TB, n int) *Subject {
	t.Helper()
	q := &natsStream{secret: newSecret(t)}
	q.servers = jetstreamtest.Start(t, n, jetstreamtest.Children(), jetstreamtest.Configured(natsUsers(q.secret.value(), natsAPI)))
	q.client = q.servers.NewClient(t, nats.UserInfo("admin", "admin"), nats.PingInterval(time.Second), nats.MaxPingsOutstanding(2))
	q.create(t)
	s := &Subject{
		Title:    titled("NATS "+q.client.Conn.ConnectedServerVersion(), n, "servers"),
		Metadata: map[string]string{"stream": "jobs", "consumer": "workers"},
		Put:      q.put,
		Garbage:  "MSG _INBOX.x 1 2147483647\r\n",
	}
	addresses := q.servers.Addresses()
	if n > 1 {
		s.Causes = map[Fault]Cause{Failover: q.failover}
	} else {
		proxy := backlogtest.NewProxy(t, addresses[0])
		s.Proxies, addresses = []*backlogtest.Proxy{proxy}, []string{proxy.Addr()}
		s.Causes = q.causes(s)
	}
	s.Connection = func() []string { return append(q.secret.login(), addressList(addresses...)) }
	return s
}

// create creates the stream and its consumer on all servers.
func (q *natsStream) create(t testing.TB) {
	t.Helper()
	q.client.Stream(t, jetstream.StreamConfig{Name: "jobs", Replicas: len(q.servers.Nodes)})
	q.client.Consumer(t, "jobs", jetstream.ConsumerConfig{Durable: "workers", AckPolicy: jetstream.AckExplicitPolicy})
}

// put publishes messages as soon as that is possible.
func (q *natsStream) put(t testing.TB, n int) {
	t.Helper()
	for range n {
		q.must(t, "a message", func(ctx context.Context) error {
			_, err := q.client.JS.Publish(ctx, "jobs.new", nil)
			return err
		})
	}
}

func (q *natsStream) must(t testing.TB, what string, do func(context.Context) error) {
	t.Helper()
	err := childprocess.Poll(context.WithoutCancel(t.Context()), what, patience, 50*time.Millisecond, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		return do(ctx)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// failover kills the server that leads the stream, and waits until others lead it and its consumer.
func (q *natsStream) failover(t testing.TB) func() {
	t.Helper()
	old := q.leader(t)
	for _, node := range q.servers.Nodes {
		if node.Name == old {
			node.Kill()
		}
	}
	return func() {
		await(t, "another server leads", func() bool {
			now := q.leader(t)
			return now != "" && now != old
		})
	}
}

// leader returns the name of the server that leads the stream, empty if there is none now.
func (q *natsStream) leader(t testing.TB) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	stream, err := q.client.JS.Stream(ctx, "jobs")
	if err != nil {
		return ""
	}
	info := stream.CachedInfo()
	if info.Cluster == nil {
		return ""
	}
	return info.Cluster.Leader
}

func (q *natsStream) causes(s *Subject) map[Fault]Cause {
	node := q.servers.Nodes[0]
	serve := func(t testing.TB) {
		t.Helper()
		node.Restart(t)
		if err := q.servers.Await(t.Context()); err != nil {
			t.Fatal(err)
		}
		await(t, "the client is connected", q.client.Conn.IsConnected)
	}
	// A server reads its users when it starts.
	reconfigure := func(t testing.TB, subjects string) {
		t.Helper()
		node.Reconfigure(t, natsUsers(q.secret.value(), subjects))
		node.Kill()
		serve(t)
	}
	return map[Fault]Cause{
		Down: func(t testing.TB) func() {
			t.Helper()
			node.Kill()
			return func() { serve(t) }
		},
		Frozen: frozen(func() freezer { return node }),
		Emptied: emptied(func(t testing.TB) {
			t.Helper()
			node.Kill()
			node.Empty(t)
			serve(t)
			q.must(t, "a stream", func(ctx context.Context) error {
				_, err := q.client.JS.AccountInfo(ctx)
				return err
			})
			q.create(t)
		}, s.Proxies...),
		Password: func(t testing.TB) func() {
			t.Helper()
			q.secret.change()
			reconfigure(t, natsAPI)
			return func() { q.secret.write(t) }
		},
		Permission: func(t testing.TB) func() {
			t.Helper()
			reconfigure(t, `"nothing"`)
			return func() { reconfigure(t, natsAPI) }
		},
	}
}
