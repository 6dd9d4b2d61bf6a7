package node

import (
	"context"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/conn"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// awaitMode reads a key until its changes are noticed in the given mode, and checks that it
// is armed only in another mode than poll.
func awaitMode(t *testing.T, n *Node, mode, reason string) {
	t.Helper()
	redistest.Eventually(t, "the mode is "+mode+" because of "+reason, func() bool {
		r := read(t, n)
		status := n.Status()
		return r.Err == nil && r.Armed == (mode != conn.WakePoll) && status.WakeUp == mode && strings.Contains(status.WakeUpReason, reason)
	})
}

// sessionOf returns the session of a node.
func sessionOf(t *testing.T, n *Node) *session {
	t.Helper()
	if err := n.acquire(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer n.release()
	return n.session
}

// loginScaler makes a node log in as the user of these tests.
func loginScaler(cfg *conn.Config) {
	cfg.Login = conn.Login{Username: "scaler", Password: backlog.NewSecret("secret")}
}

// unchanged leaves settings as they are.
func unchanged(*conn.Config) {}

// TestRightIsRestored: the mode that is shown is the one that is, whenever the server
// takes away what it needs, and the best mode is back within the time that is documented
// once the server allows it, without a lost connection.
func TestRightIsRestored(t *testing.T) {
	t.Parallel()
	for _, events := range []string{"", "KA"} {
		fallback := conn.WakePoll
		if events != "" {
			fallback = conn.WakeKeyspace
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
					n, _ := openNode(t, server.Addr(), loginScaler)
					awaitMode(t, n, conn.WakeTracking, "")
					refuse()
					// What was allowed works on, and only then is it refused.
					server.Do("CLIENT", "KILL", "TYPE", "normal")
					awaitMode(t, n, fallback, "client tracking: NOPERM")
					before := sessionOf(t, n)
					allow()
					awaitMode(t, n, conn.WakeTracking, "")
					if after := sessionOf(t, n); after != before {
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
			n, _ := openNode(t, server.Addr(), loginScaler)
			awaitMode(t, n, conn.WakeTracking, "")
			server.Do("ACL", "SETUSER", "scaler", "resetchannels")
			awaitMode(t, n, conn.WakePoll, "subscribing to "+invalidations)
			server.Do("ACL", "SETUSER", "scaler", "allchannels")
			awaitMode(t, n, conn.WakeTracking, "")
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
			n, _ := openNode(t, server.Addr(), func(cfg *conn.Config) { cfg.WakeUp = conn.WakeKeyspace })
			for _, off := range []string{"", "Ehlz", "Kx"} {
				server.Do("CONFIG", "SET", "notify-keyspace-events", "KA")
				awaitMode(t, n, conn.WakeKeyspace, "")
				server.Do("CONFIG", "SET", "notify-keyspace-events", off)
				awaitMode(t, n, conn.WakePoll, keyspaceSetting)
			}
		})
	}
}

// TestTrackingIsSwitchedOff: whatever makes a server forget that it tracks a connection,
// without an end of that, is noticed by a confirmation and by a read.
func TestTrackingIsSwitchedOff(t *testing.T) {
	t.Parallel()
	for name, notice := range map[string]func(*testing.T, *Node){
		"confirmation": func(t *testing.T, n *Node) {
			t.Helper()
			if err := n.Confirm(t.Context()); err == nil {
				t.Error("it confirms that every change was reported")
			}
		},
		"read": func(t *testing.T, n *Node) {
			t.Helper()
			sessionOf(t, n).checked = time.Time{}
			if err := read(t, n).Err; err != nil {
				t.Error(err)
			}
		},
	} {
		for _, v := range redistest.Versions(t) {
			t.Run(name+"/"+v.Name, func(t *testing.T) {
				t.Parallel()
				server := redistest.Start(t, redistest.WithVersion(v))
				n, changes := openNode(t, server.Addr(), unchanged)
				// Afterwards nothing is on its way of what the connections cause when they begin.
				awaitChange(t, n, changes, server)
				arm(t, n)
				func() {
					if err := n.acquire(t.Context()); err != nil {
						t.Fatal(err)
					}
					defer n.release()
					tracked := n.session.tracked
					if err := n.session.untrack(t.Context()); err != nil {
						t.Fatal(err)
					}
					// The node does not know of it.
					n.session.tracked = tracked
				}()
				_, before := changes.changes()
				notice(t, n)
				redistest.Eventually(t, "everything is woken", func() bool {
					_, all := changes.changes()
					return all > before
				})
				awaitChange(t, n, changes, server)
			})
		}
	}
}

// awaitChange arms the key jobs, changes it, and waits until that is reported.
func awaitChange(t *testing.T, n *Node, changes *recorder, server *redistest.Server) {
	t.Helper()
	arm(t, n)
	before, _ := changes.changes()
	server.Do("LPUSH", "jobs", "a")
	redistest.Eventually(t, "the change is reported", func() bool {
		reported, _ := changes.changes()
		return reported > before
	})
}

// TestNoSecondConnection: where a server is read and accepts no connection to listen on,
// it is polled and the reason is shown.
func TestNoSecondConnection(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	n, _ := openNode(t, server.Addr(), unchanged)
	awaitMode(t, n, conn.WakeTracking, "")
	for range 10 {
		client := server.NewClient(func(*goredis.Options) {})
		if err := client.Ping(context.WithoutCancel(t.Context())).Err(); err != nil {
			t.Fatal(err)
		}
	}
	server.Do("CONFIG", "SET", "maxclients", 5)
	server.Do("CLIENT", "KILL", "TYPE", "pubsub")
	awaitMode(t, n, conn.WakePoll, "")
	if reason := n.Status().WakeUpReason; reason == "" {
		t.Error("no reason is shown")
	}
	server.Do("CONFIG", "SET", "maxclients", 1000)
	awaitMode(t, n, conn.WakeTracking, "")
}

// TestListeningFails: where new connections do not answer and the one that reads works on,
// queues are polled and the reason is shown.
func TestListeningFails(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	silent := redistest.Start(t)
	proxy := backlogtest.NewProxy(t, server.Addr())
	n, _ := openNode(t, proxy.Addr(), func(cfg *conn.Config) { cfg.AnswerTimeout = 2 * time.Second })
	awaitMode(t, n, conn.WakeTracking, "")
	silent.Freeze()
	proxy.Redirect(silent.Addr())
	server.Do("CLIENT", "KILL", "TYPE", "pubsub")
	awaitMode(t, n, conn.WakePoll, "listening fails")
	proxy.Redirect(server.Addr())
	awaitMode(t, n, conn.WakeTracking, "")
	silent.Thaw()
}
