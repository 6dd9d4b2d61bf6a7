package redis_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// TestLeastPrivilege holds the engine to the suite with the rights that are documented.
func TestLeastPrivilege(t *testing.T) {
	t.Parallel()
	for name, way := range map[string]struct {
		rules  []string
		wakeUp string
	}{
		"tracking": {[]string{redis.ACLRules, redis.ACLScanRules}, "tracking"},
		"keyspace": {[]string{redis.ACLRules, redis.ACLScanRules, "resetchannels -client|tracking", redis.ACLKeyspaceRules}, "keyspace"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			layouttest.EachServer(t, func(t *testing.T, v redistest.Version, server *redistest.Server) {
				t.Helper()
				server.Do("CONFIG", "SET", "notify-keyspace-events", "KA")
				rules := slices.Clone(way.rules)
				if v.Before(7, 0) {
					// It cannot take a part of a command away.
					for i := range rules {
						rules[i] = strings.ReplaceAll(rules[i], "-client|tracking", "-client +client|id +client|setname")
					}
				}
				more := layouttest.User(v, server, "%R~*", rules...)
				source := layouttest.OpenServer(t, server, more)
				ear := backlogtest.Listen(t, source)
				for _, c := range cases(server.Client()) {
					q := c.Query(t)
					backlogtest.Arm(t, source, ear, q)
					c.Add(t, q, 2)
					ear.Await(t, q)
					if r := backlogtest.MustRead(t, source, q); r.Backlog() != 2 || r.Epoch == "" {
						t.Errorf("%s: %+v", c.Name, r)
					}
				}
				status := source.Status()
				if status.WakeUp != way.wakeUp {
					t.Errorf("status %+v, want %s", status, way.wakeUp)
				}
				if refused, _ := server.Do("ACL", "LOG").([]any); len(refused) > 0 && name == "tracking" {
					t.Errorf("refused were %v", refused)
				}
			})
		})
	}
}

// TestDenied: whatever the server refuses is denied, never a count.
func TestDenied(t *testing.T) {
	t.Parallel()
	layouttest.EachServer(t, func(t *testing.T, v redistest.Version, server *redistest.Server) {
		t.Helper()
		allowed := layouttest.User(v, server, "%R~mine:*", redis.ACLRules)
		denied := func(name string, more map[string]any, q backlog.Query) {
			t.Helper()
			source := layouttest.OpenServer(t, server, more)
			r := backlogtest.Read(t, source, q)[0]
			if !errors.Is(r.Err, backlog.ErrDenied) || r.Armed {
				t.Errorf("%s: %+v, want ErrDenied", name, r)
			}
			if r.Err != nil && strings.Contains(r.Err.Error(), "secret") {
				t.Errorf("%s: the error tells the password: %v", name, r.Err)
			}
		}
		denied("wrong password", map[string]any{"username": "scaler", "password": backlog.NewSecret("wrong secret")}, list("mine:jobs"))
		denied("unknown user", map[string]any{"username": "stranger", "password": backlog.NewSecret("secret")}, list("mine:jobs"))
		denied("key of another tenant", allowed, list("theirs:jobs"))
		denied("stream of another tenant", allowed, stream("theirs:stream", "g"))
		denied("command that is not allowed", layouttest.User(v, server, "~*", redis.ACLRules, "-llen"), list("mine:jobs"))
		server.Do("CONFIG", "SET", "requirepass", "other secret")
		denied("no password", nil, list("mine:jobs"))
	})
}

// TestOneDeniedOfMany: a queue that is denied leaves the others of the batch alone.
func TestOneDeniedOfMany(t *testing.T) {
	t.Parallel()
	layouttest.EachServer(t, func(t *testing.T, v redistest.Version, server *redistest.Server) {
		t.Helper()
		source := layouttest.OpenServer(t, server, layouttest.User(v, server, "%R~mine:*", redis.ACLRules))
		server.Do("LPUSH", "mine:jobs", "a")
		results := backlogtest.Read(t, source, list("theirs:jobs"), list("mine:jobs"), stream("theirs:s", "g"))
		if !errors.Is(results[0].Err, backlog.ErrDenied) || !errors.Is(results[2].Err, backlog.ErrDenied) {
			t.Errorf("denied queues read as %+v and %+v", results[0], results[2])
		}
		if results[1].Err != nil || results[1].Reading.Ready != 1 {
			t.Errorf("the allowed queue reads as %+v", results[1])
		}
	})
}

// TestFallback: where tracking is refused, keyspace notifications take its place if
// they are on, and else polling; the status says which and why.
func TestFallback(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name, events, rules, mode string
		reasons                   []string
		settings                  map[string]any
	}{
		{name: "tracking", rules: redis.ACLRules, mode: "tracking"},
		{name: "channel refused, notifications on", events: "KA", rules: redis.ACLRules + " resetchannels " + redis.ACLKeyspaceRules, mode: "keyspace", reasons: []string{"client tracking", "NOPERM"}},
		{name: "channel refused, notifications of lists on", events: "Kgl", rules: redis.ACLRules + " resetchannels " + redis.ACLKeyspaceRules, mode: "keyspace", reasons: []string{"client tracking"}},
		{name: "channel refused, notifications without g", events: "Klshzt", rules: redis.ACLRules + " resetchannels " + redis.ACLKeyspaceRules, mode: "poll", reasons: []string{"client tracking", `notify-keyspace-events is "`, "K, g and"}},
		{name: "channel refused, notifications off", rules: redis.ACLRules + " resetchannels " + redis.ACLKeyspaceRules, mode: "poll", reasons: []string{"client tracking", "notify-keyspace-events is"}},
		{name: "channel refused, notifications of the other kind", events: "EA", rules: redis.ACLRules + " resetchannels " + redis.ACLKeyspaceRules, mode: "poll", reasons: []string{"notify-keyspace-events is"}},
		{name: "channel refused, notifications unknown", events: "KA", rules: redis.ACLRules + " resetchannels", mode: "poll", reasons: []string{"client tracking", "keyspace notifications", "NOPERM"}},
		{name: "keyspace asked for and off", rules: redis.ACLRules + " " + redis.ACLKeyspaceRules, settings: map[string]any{"wakeUp": "keyspace"}, mode: "poll", reasons: []string{"notify-keyspace-events is"}},
		{name: "polling asked for", events: "KA", rules: redis.ACLRules, settings: map[string]any{"wakeUp": "poll"}, mode: "poll"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			layouttest.EachServer(t, func(t *testing.T, v redistest.Version, server *redistest.Server) {
				t.Helper()
				server.Do("CONFIG", "SET", "notify-keyspace-events", row.events)
				more := layouttest.User(v, server, "%R~*", row.rules)
				maps.Copy(more, row.settings)
				source := layouttest.OpenServer(t, server, more)
				redistest.Eventually(t, "the mode is known", func() bool { return source.Status().WakeUp == row.mode })
				for _, reason := range row.reasons {
					if got := source.Status().WakeUpReason; !strings.Contains(got, reason) {
						t.Errorf("reason %q, want %q in it", got, reason)
					}
				}
				if len(row.reasons) == 0 && source.Status().WakeUpReason != "" {
					t.Errorf("reason %q, want none", source.Status().WakeUpReason)
				}
				if source.Status().IdlePoll <= 0 {
					t.Error("no idle poll")
				}
				q := list("jobs")
				if row.mode == "poll" {
					if r := backlogtest.Read(t, source, q)[0]; r.Err != nil || r.Armed {
						t.Errorf("without wake-ups reads as %+v", r)
					}
					return
				}
				ear := backlogtest.Listen(t, source)
				backlogtest.Arm(t, source, ear, q)
				server.Do("LPUSH", "jobs", "a")
				ear.Await(t, q)
				if row.events == "Kgl" {
					if r := backlogtest.Read(t, source, stream("s", "g"))[0]; r.Err != nil || r.Armed {
						t.Errorf("a stream whose changes are not notified reads as %+v", r)
					}
				}
			})
		})
	}
}

// TestWithoutInfo: a server that does not tell who it is may be another one after each
// reconnect, and on each connection. So it is polled.
func TestWithoutInfo(t *testing.T) {
	t.Parallel()
	layouttest.EachServer(t, func(t *testing.T, v redistest.Version, server *redistest.Server) {
		t.Helper()
		server.Do("CONFIG", "SET", "notify-keyspace-events", "KA")
		source := layouttest.OpenServer(t, server, layouttest.User(v, server, "%R~*", redis.ACLRules, redis.ACLKeyspaceRules, "-info"))
		q := list("jobs")
		redistest.Eventually(t, "it is polled", func() bool { return source.Status().WakeUp == "poll" })
		if got := source.Status().WakeUpReason; strings.Count(got, "does not name its run") != 1 {
			t.Errorf("the reason is %q", got)
		}
		first := backlogtest.MustRead(t, source, q).Epoch
		if again := backlogtest.MustRead(t, source, q).Epoch; again != first || first == "" {
			t.Errorf("epoch %q became %q on one connection", first, again)
		}
		server.Do("CLIENT", "KILL", "TYPE", "normal")
		redistest.Eventually(t, "there is another epoch after a reconnect", func() bool {
			r := backlogtest.Read(t, source, q)[0]
			return r.Err == nil && r.Reading.Epoch != first && r.Reading.Epoch != "" && !r.Armed
		})
	})
}

// secured starts a server that speaks TLS, and returns the settings with which it lets
// clients in. Of the servers that the tests install, only the system's speaks TLS.
func secured(t *testing.T) (server *redistest.Server, good map[string]any) {
	t.Helper()
	server = redistest.Start(t, redistest.WithTLS())
	c := server.Certificates()
	return server, map[string]any{"tls": true, "tlsCAFile": c.CA, "tlsCertFile": c.Cert, "tlsKeyFile": c.Key}
}

func TestTLSWakes(t *testing.T) {
	t.Parallel()
	server, good := secured(t)
	source := layouttest.OpenServer(t, server, good)
	ear := backlogtest.Listen(t, source)
	q := list("jobs")
	backlogtest.Arm(t, source, ear, q)
	server.Do("LPUSH", "jobs", "a")
	ear.Await(t, q)
	backlogtest.Arm(t, source, ear, q)
	server.Do("CLIENT", "KILL", "TYPE", "normal")
	ear.AwaitEverything(t)
}

// TestTLS: the server is checked, and the client shows its certificate.
func TestTLS(t *testing.T) {
	t.Parallel()
	server, good := secured(t)
	with := func(name string, value any) map[string]any {
		changed := map[string]any{name: value}
		for n, v := range good {
			if n != name {
				changed[n] = v
			}
		}
		return changed
	}
	for name, more := range map[string]map[string]any{
		"no tls":                nil,
		"no certificate":        {"tls": true, "tlsCAFile": good["tlsCAFile"]},
		"unknown authority":     {"tls": true, "tlsCertFile": good["tlsCertFile"], "tlsKeyFile": good["tlsKeyFile"]},
		"another server's name": with("tlsServerName", "elsewhere.example"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source := layouttest.OpenServer(t, server, more)
			if r := backlogtest.Read(t, source, list("other"))[0]; !errors.Is(r.Err, backlog.ErrUnavailable) {
				t.Errorf("%+v, want ErrUnavailable", r)
			}
		})
	}
	for name, more := range map[string]map[string]any{
		"any server":        with("tlsInsecureSkipVerify", true),
		"the server's name": with("tlsServerName", "localhost"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source := layouttest.OpenServer(t, server, more)
			backlogtest.MustRead(t, source, list("other"))
		})
	}
}

// TestDatabase: keys of one database are not those of another.
func TestDatabase(t *testing.T) {
	t.Parallel()
	for name, more := range map[string]map[string]any{
		"tracking": {"database": int64(3)},
		"keyspace": {"database": int64(3), "wakeUp": "keyspace"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t, redistest.WithConfig("notify-keyspace-events KA"))
			source := layouttest.OpenServer(t, server, more)
			ear := backlogtest.Listen(t, source)
			q := list("jobs")
			server.Do("LPUSH", "jobs", "in database 0")
			backlogtest.Arm(t, source, ear, q)
			if r := backlogtest.MustRead(t, source, q); !r.Missing {
				t.Errorf("database 3 reads as %+v", r)
			}
			pipe := server.Client().TxPipeline()
			pipe.Do(t.Context(), "SELECT", 3)
			pipe.LPush(t.Context(), "jobs", "a", "b")
			pipe.Do(t.Context(), "SELECT", 0)
			if _, err := pipe.Exec(t.Context()); err != nil {
				t.Fatal(err)
			}
			ear.Await(t, q)
			if r := backlogtest.MustRead(t, source, q); r.Ready != 2 {
				t.Errorf("database 3 reads as %+v", r)
			}
		})
	}
}

// TestName: the list of clients shows the scaler.
func TestName(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	source := layouttest.OpenServer(t, server, map[string]any{"clientName": "scaler-of-tests"})
	backlogtest.Arm(t, source, backlogtest.Listen(t, source), list("jobs"))
	clients := fmt.Sprint(server.Do("CLIENT", "LIST"))
	if n := strings.Count(clients, "name=scaler-of-tests"); n != 2 {
		t.Errorf("%d connections have the name, want 2:\n%s", n, clients)
	}
}
