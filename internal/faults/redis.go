package faults

import (
	"context"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// redisUser is the line of the configuration of a server with the user of the scaler.
func redisUser(s *secret) string { return "user " + user + " on >" + s.value() + " ~* &* +@all" }

// redisServer is one server.
func redisServer(t testing.TB) *Subject {
	t.Helper()
	s := newSecret(t)
	server := redistest.Start(t, redistest.WithAppendOnly(), redistest.WithConfig(redisUser(s)))
	proxy := backlogtest.NewProxy(t, server.Addr())
	acl := func(rules ...any) { server.Do(append([]any{"ACL", "SETUSER", user}, rules...)...) }
	return &Subject{
		Title: "Redis",
		Connection: func() []string {
			return append(s.login(), "addresses: ['"+proxy.Addr()+"']")
		},
		Metadata: map[string]string{"list": "jobs"},
		Put: func(t testing.TB, n int) {
			t.Helper()
			for range n {
				server.Do("RPUSH", "jobs", "job")
			}
		},
		Proxies: []*backlogtest.Proxy{proxy},
		Garbage: "$2147483647\r\n*2147483647\r\n",
		Causes: map[Fault]Cause{
			Down: func(testing.TB) func() {
				server.Kill()
				return func() {
					server.Restart()
					acl("resetpass", ">"+s.value())
				}
			},
			Frozen: func(testing.TB) func() {
				server.Freeze()
				return server.Thaw
			},
			Emptied: func(testing.TB) func() {
				server.Kill()
				return func() {
					server.RestartEmpty()
					acl("resetpass", ">"+s.value())
				}
			},
			Password: func(t testing.TB) func() {
				t.Helper()
				s.change()
				acl("resetpass", ">"+s.value())
				server.Do("CLIENT", "KILL", "USER", user)
				return func() { s.write(t) }
			},
			Permission: func(testing.TB) func() {
				acl("-@all")
				return func() { acl("+@all") }
			},
		},
	}
}

// redisSentinel is a master that a replica replaces.
func redisSentinel(t testing.TB) *Subject {
	t.Helper()
	s := newSecret(t)
	group := redistest.StartSentinel(t, redistest.WithConfig(redisUser(s)))
	master := group.Servers[0]
	return &Subject{
		Title: "with Sentinel",
		Connection: func() []string {
			return append(s.login(), addressList(group.Addrs()...), "mode: sentinel", "masterName: "+group.Name)
		},
		Metadata: map[string]string{"list": "jobs"},
		Put: func(t testing.TB, n int) {
			t.Helper()
			for range n {
				if err := master.Client().RPush(context.WithoutCancel(t.Context()), "jobs", "job").Err(); err != nil {
					t.Fatal(err)
				}
			}
			master.Do("WAIT", 2, 1000)
		},
		Causes: map[Fault]Cause{Failover: func(t testing.TB) func() {
			t.Helper()
			old := master
			old.Kill()
			group.AllowFailover()
			return func() { master = group.AwaitFailover(t, old) }
		}},
	}
}
