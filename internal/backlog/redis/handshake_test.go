package redis_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// TestCourtesiesRefused: what a server or proxy refuses is done without, in whatever words
// it refuses, and the queues are read. Without wake-ups they are polled.
func TestCourtesiesRefused(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.WithConfig("notify-keyspace-events KA"))
	server.Do("LPUSH", "jobs", "a", "b")
	for _, row := range []struct {
		name     string
		commands []string
		mode     string
	}{
		{"INFO", []string{"INFO"}, "poll"},
		{"INFO server", []string{"INFO SERVER"}, "poll"},
		{"INFO replication", []string{"INFO REPLICATION"}, "tracking"},
		{"INFO commandstats", []string{"INFO COMMANDSTATS"}, "tracking"},
		{"CLIENT GETREDIR", []string{"CLIENT GETREDIR"}, "tracking"},
		{"HELLO", []string{"HELLO"}, "tracking"},
		{"CLIENT SETNAME", []string{"CLIENT SETNAME"}, "tracking"},
		{"CLIENT ID", []string{"CLIENT ID"}, "keyspace"},
		{"CLIENT TRACKING", []string{"CLIENT TRACKING"}, "keyspace"},
		{"CLIENT", []string{"CLIENT"}, "keyspace"},
		{"CLIENT and CONFIG", []string{"CLIENT", "CONFIG"}, "poll"},
		{"SUBSCRIBE and CONFIG", []string{"SUBSCRIBE", "CONFIG"}, "poll"},
		{"PING", []string{"PING"}, "poll"},
		{"all of them", []string{"INFO", "HELLO", "CLIENT", "SUBSCRIBE", "CONFIG", "PING"}, "poll"},
	} {
		for _, words := range []string{
			"unsupported command 'info'", "ERR unknown command", "ERR", "NOPERM this user has no permissions", "proxy: not here", redistest.HangUp,
		} {
			t.Run(row.name+"/"+words, func(t *testing.T) {
				t.Parallel()
				refusals := make(map[string]string)
				for _, command := range row.commands {
					refusals[command] = words
				}
				proxy := redistest.StartProxy(t, server.Addr(), refusals)
				source := backlogtest.Open(t, redis.Engine(), layouttest.Connection([]string{proxy.Addr()}, nil))
				results := backlogtest.Read(t, source, list("jobs"))
				mode := row.mode
				if strings.HasPrefix(row.name, "INFO") && words == redistest.HangUp {
					// It is asked nothing more then, so it does not say who it is either.
					mode = "poll"
				}
				if r := results[0]; r.Err != nil || r.Reading.Ready != 2 {
					t.Fatalf("reads as %+v, want 2", r)
				}
				redistest.Eventually(t, "the mode is "+mode, func() bool { return source.Status().WakeUp == mode })
				if reason := source.Status().WakeUpReason; (reason == "") != (mode == "tracking") {
					t.Errorf("mode %s, reason %q", mode, reason)
				}
				if r := backlogtest.MustRead(t, source, list("jobs")); r.Ready != 2 {
					t.Errorf("reads as %+v, want 2", r)
				}
			})
		}
	}
}

// TestNoHello: HELLO, at which some servers end the connection, is never sent, and a
// password is shown to the server in the way that all versions know.
func TestNoHello(t *testing.T) {
	t.Parallel()
	for _, v := range redistest.Versions(t) {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t, redistest.WithVersion(v), redistest.WithConfig("user scaler on >secret ~* +@all"))
			server.Do("LPUSH", "jobs", "a")
			proxy := redistest.StartProxy(t, server.Addr(), map[string]string{"HELLO": redistest.HangUp})
			for name, more := range map[string]map[string]any{
				"no password":       nil,
				"user":              {"username": "scaler", "password": backlog.NewSecret("secret")},
				"user and database": {"username": "scaler", "password": backlog.NewSecret("secret"), "database": int64(0)},
				"needless password": {"password": backlog.NewSecret("needless")},
			} {
				source := backlogtest.Open(t, redis.Engine(), layouttest.Connection([]string{proxy.Addr()}, more))
				if r := backlogtest.MustRead(t, source, list("jobs")); r.Ready != 1 {
					t.Errorf("%s: %+v", name, r)
				}
				redistest.Eventually(t, "the server is listened to", func() bool { return source.Status().WakeUp != "" })
			}
			server.Do("CONFIG", "SET", "requirepass", "hunter2")
			source := backlogtest.Open(t, redis.Engine(), layouttest.Connection([]string{proxy.Addr()}, map[string]any{"password": backlog.NewSecret("hunter2")}))
			if r := backlogtest.MustRead(t, source, list("jobs")); r.Ready != 1 {
				t.Errorf("password: %+v", r)
			}
			if slices.Contains(proxy.Seen(), "HELLO") {
				t.Errorf("sent were %s", strings.Join(proxy.Seen(), " "))
			}
		})
	}
}
