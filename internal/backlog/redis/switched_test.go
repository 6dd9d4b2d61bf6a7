package redis_test

import (
	"strings"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// openAt opens a source of the server at an address.
func openAt(t testing.TB, address string, more map[string]any) backlog.Source {
	t.Helper()
	return backlogtest.Open(t, redis.Engine(), layouttest.Connection([]string{address}, more))
}

// crowd connects so many clients that every id that may be in use elsewhere is in use here.
func crowd(t testing.TB, server *redistest.Server) {
	t.Helper()
	for range 50 {
		client := server.NewClient(func(*goredis.Options) {})
		if err := client.Ping(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAddressLeadsElsewhere: behind one address the server is replaced while the old one
// lives on, and one connection or the other, or none of them, is opened again. Work that
// is added at the new server wakes, and the queue counts as armed only where it does.
func TestAddressLeadsElsewhere(t *testing.T) {
	t.Parallel()
	for _, way := range []struct {
		name, events string
		more         map[string]any
	}{
		{name: "tracking"},
		{name: "keyspace", events: "KA", more: map[string]any{"wakeUp": "keyspace"}},
	} {
		for name, cut := range map[string]func(*backlogtest.Proxy){
			"first connection lost":  func(p *backlogtest.Proxy) { p.CutOne(0) },
			"second connection lost": func(p *backlogtest.Proxy) { p.CutOne(1) },
			"both stay":              func(*backlogtest.Proxy) {},
		} {
			t.Run(way.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				layouttest.EachServer(t, func(t *testing.T, v redistest.Version, old *redistest.Server) {
					t.Helper()
					next := redistest.Start(t, redistest.WithVersion(v))
					for _, s := range []*redistest.Server{old, next} {
						s.Do("CONFIG", "SET", "notify-keyspace-events", way.events)
						crowd(t, s)
					}
					proxy := backlogtest.NewProxy(t, old.Addr())
					source := openAt(t, proxy.Addr(), way.more)
					ear := backlogtest.Listen(t, source)
					q := list("jobs")
					backlogtest.Arm(t, source, ear, q)
					redistest.Eventually(t, "there are two connections", func() bool { return proxy.Connections() == 2 })
					proxy.Redirect(next.Addr())
					cut(proxy)
					ear.AwaitEverything(t)
					redistest.Eventually(t, "the new server is read and armed", func() bool {
						r := backlogtest.Read(t, source, q)[0]
						text, _ := next.Do("CLIENT", "LIST").(string)
						return r.Err == nil && r.Armed && strings.Count(text, "name=backlog-scaler") == 2
					})
					backlogtest.Arm(t, source, ear, q)
					next.Do("LPUSH", "jobs", "a")
					ear.Await(t, q)
					if r := backlogtest.MustRead(t, source, q); r.Ready != 1 {
						t.Errorf("the new server reads as %+v", r)
					}
				})
			})
		}
	}
}

// TestAddressOfSeveralServers: where the connections lead to different servers, queues are
// polled, and the reason is shown. A connection that is opened again may lead to the server of
// the other one, and then queues are armed.
func TestAddressOfSeveralServers(t *testing.T) {
	t.Parallel()
	servers := []*redistest.Server{redistest.Start(t), redistest.Start(t)}
	proxy := backlogtest.NewProxy(t, servers[0].Addr())
	proxy.Alternate(servers[1].Addr())
	source := openAt(t, proxy.Addr(), nil)
	clients := func(s *redistest.Server) int {
		text, _ := s.Do("CLIENT", "LIST").(string)
		return strings.Count(text, "name=backlog-scaler")
	}
	redistest.Eventually(t, "it is polled", func() bool {
		r := backlogtest.Read(t, source, list("jobs"))[0]
		if r.Armed {
			redistest.Eventually(t, "an armed queue is that of one server", func() bool {
				return clients(servers[0])+clients(servers[1]) == 2 && clients(servers[0]) != 1
			})
			proxy.Cut()
			return false
		}
		return r.Err == nil && source.Status().WakeUp == "poll"
	})
	if reason := source.Status().WakeUpReason; !strings.Contains(reason, "different servers") {
		t.Errorf("the reason is %q", reason)
	}
}
