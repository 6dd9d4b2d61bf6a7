package redis

import (
	"context"
	"maps"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// shortRetry takes the place of refusedRetry.
const shortRetry = 300 * time.Millisecond

// openRetrying opens a source of a server that tries again soon what was refused.
func openRetrying(t *testing.T, server *redistest.Server, more map[string]any) *source {
	t.Helper()
	settings := map[string]any{"addresses": []string{server.Addr()}, "dialTimeout": time.Minute, "answerTimeout": time.Minute}
	maps.Copy(settings, more)
	cfg, err := newConfig(backlog.Connection{Name: "test", Settings: backlog.NewSettings(settings)})
	if err != nil {
		t.Fatal(err)
	}
	cfg.refusedRetry = shortRetry
	s, err := openWith(t.Context(), cfg, backlogtest.Logger(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// awaitMode reads a queue until its changes are noticed in the given mode, and checks that
// the queue counts as armed only in another mode than poll.
func awaitMode(t *testing.T, s *source, mode, reason string) {
	t.Helper()
	redistest.Eventually(t, "the mode is "+mode+" because of "+reason, func() bool {
		r := backlogtest.Read(t, s, backlog.Query{Layout: "list", Queue: "jobs"})[0]
		status := s.Status()
		return r.Err == nil && r.Armed == (mode != wakePoll) && status.WakeUp == mode && strings.Contains(status.WakeUpReason, reason)
	})
}

// sessionOf returns the session of a source of one server.
func sessionOf(t *testing.T, s *source) *session {
	t.Helper()
	n := s.topology.now.Load().only()
	if err := n.take(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer n.release()
	return n.session
}

// TestRightIsRestored: the mode that is shown is the one that is, whenever the server
// takes away what it needs, and the best mode is back within the time that is documented
// once the server allows it, without a lost connection.
func TestRightIsRestored(t *testing.T) {
	t.Parallel()
	for _, events := range []string{"", "KA"} {
		fallback := wakePoll
		if events != "" {
			fallback = wakeKeyspace
		}
		t.Run("to "+fallback, func(t *testing.T) {
			t.Parallel()
			for _, v := range redistest.Versions(t) {
				t.Run(v.Name, func(t *testing.T) {
					t.Parallel()
					server := redistest.Start(t, redistest.WithVersion(v))
					server.Do("CONFIG", "SET", "notify-keyspace-events", events)
					rights := func(more ...any) {
						all := []any{"ACL", "SETUSER", "scaler", "reset", "on", ">secret", "~*", "+@all"}
						if !v.Before(6, 2) {
							all = append(all, "allchannels")
						}
						server.Do(append(all, more...)...)
					}
					allow := func() { rights() }
					refuse := func() { rights("-client", "+client|id", "+client|setname") }
					allow()
					s := openRetrying(t, server, map[string]any{"username": "scaler", "password": backlog.NewSecret("secret")})
					awaitMode(t, s, wakeTracking, "")
					refuse()
					// What was allowed works on, and only then is it refused.
					server.Do("CLIENT", "KILL", "TYPE", "normal")
					awaitMode(t, s, fallback, "client tracking: NOPERM")
					before := sessionOf(t, s)
					allow()
					awaitMode(t, s, wakeTracking, "")
					if after := sessionOf(t, s); after != before {
						t.Error("the reading connection was replaced")
					}
				})
			}
		})
	}
}

// TestChannelIsTakenAway: a server ends the connections of a user who may not listen to
// their channel any more.
func TestChannelIsTakenAway(t *testing.T) {
	t.Parallel()
	for _, v := range redistest.Versions(t) {
		if v.Before(6, 2) {
			// It has no rights to channels.
			continue
		}
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t, redistest.WithVersion(v), redistest.WithConfig("user scaler on >secret ~* allchannels +@all"))
			s := openRetrying(t, server, map[string]any{"username": "scaler", "password": backlog.NewSecret("secret")})
			awaitMode(t, s, wakeTracking, "")
			server.Do("ACL", "SETUSER", "scaler", "resetchannels")
			awaitMode(t, s, wakePoll, "subscribing to "+invalidations)
			server.Do("ACL", "SETUSER", "scaler", "allchannels")
			awaitMode(t, s, wakeTracking, "")
		})
	}
}

// TestNotificationsAreSwitchedOff: CONFIG SET ends no connection.
func TestNotificationsAreSwitchedOff(t *testing.T) {
	t.Parallel()
	for _, v := range redistest.Versions(t) {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t, redistest.WithVersion(v), redistest.WithConfig("notify-keyspace-events KA"))
			s := openRetrying(t, server, map[string]any{"wakeUp": wakeKeyspace})
			for _, off := range []string{"", "Ehlz", "Kx"} {
				server.Do("CONFIG", "SET", "notify-keyspace-events", "KA")
				awaitMode(t, s, wakeKeyspace, "")
				server.Do("CONFIG", "SET", "notify-keyspace-events", off)
				awaitMode(t, s, wakePoll, keyspaceSetting)
			}
		})
	}
}

// TestTrackingIsSwitchedOff: whatever makes a server forget that it tracks a connection,
// without an end of that, is noticed by a confirmation and by a read.
func TestTrackingIsSwitchedOff(t *testing.T) {
	t.Parallel()
	for name, notice := range map[string]func(*testing.T, *source){
		"confirmation": func(t *testing.T, s *source) {
			t.Helper()
			if until, err := s.Confirm(t.Context()); err == nil {
				t.Errorf("confirmed until %s", until)
			}
		},
		"read": func(t *testing.T, s *source) {
			t.Helper()
			s.topology.now.Load().only().session.checked = time.Time{}
			backlogtest.Read(t, s, backlog.Query{Layout: "list", Queue: "jobs"})
		},
	} {
		for _, v := range redistest.Versions(t) {
			t.Run(name+"/"+v.Name, func(t *testing.T) {
				t.Parallel()
				server := redistest.Start(t, redistest.WithVersion(v))
				s := openRetrying(t, server, nil)
				ear := backlogtest.Listen(t, s)
				q := backlog.Query{Layout: "list", Queue: "jobs"}
				backlogtest.Arm(t, s, ear, q)
				func() {
					n := s.topology.now.Load().only()
					if err := n.take(t.Context()); err != nil {
						t.Fatal(err)
					}
					defer n.release()
					if err := n.session.tracking(t.Context(), "OFF"); err != nil {
						t.Fatal(err)
					}
				}()
				notice(t, s)
				ear.AwaitEverything(t)
				backlogtest.Arm(t, s, ear, q)
				server.Do("LPUSH", "jobs", "a")
				ear.Await(t, q)
			})
		}
	}
}

// TestNoSecondConnection: where a server is read and accepts no connection to listen on,
// it is polled and the reason is shown.
func TestNoSecondConnection(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := openRetrying(t, server, nil)
	awaitMode(t, s, wakeTracking, "")
	for range 10 {
		client := server.NewClient(func(*goredis.Options) {})
		if err := client.Ping(context.WithoutCancel(t.Context())).Err(); err != nil {
			t.Fatal(err)
		}
	}
	server.Do("CONFIG", "SET", "maxclients", 5)
	server.Do("CLIENT", "KILL", "TYPE", "pubsub")
	awaitMode(t, s, wakePoll, "")
	if reason := s.Status().WakeUpReason; reason == "" {
		t.Error("no reason is shown")
	}
	server.Do("CONFIG", "SET", "maxclients", 1000)
	awaitMode(t, s, wakeTracking, "")
}

// TestListeningFails: where new connections do not answer and the one that reads works on,
// queues are polled and the reason is shown.
func TestListeningFails(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	silent := redistest.Start(t)
	proxy := backlogtest.NewProxy(t, server.Addr())
	s := openRetrying(t, server, map[string]any{"addresses": []string{proxy.Addr()}, "answerTimeout": 2 * time.Second})
	awaitMode(t, s, wakeTracking, "")
	silent.Freeze()
	proxy.Redirect(silent.Addr())
	server.Do("CLIENT", "KILL", "TYPE", "pubsub")
	awaitMode(t, s, wakePoll, "listening fails")
	proxy.Redirect(server.Addr())
	awaitMode(t, s, wakeTracking, "")
	silent.Thaw()
}
