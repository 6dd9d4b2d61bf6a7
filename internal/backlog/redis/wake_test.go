package redis_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// TestWakesAfterLoss has the ways in which a server can forget what was armed. Each
// must wake everything, and be armed again by the next read.
func TestWakesAfterLoss(t *testing.T) {
	t.Parallel()
	for _, way := range []struct {
		name  string
		lines []string
		more  map[string]any
	}{
		{name: "tracking"},
		{name: "keyspace", lines: []string{"notify-keyspace-events KA"}, more: map[string]any{"wakeUp": "keyspace"}},
	} {
		for name, lose := range map[string]func(*redistest.Server){
			"listening connection killed": func(s *redistest.Server) { s.Do("CLIENT", "KILL", "TYPE", "pubsub") },
			"reading connection killed":   func(s *redistest.Server) { s.Do("CLIENT", "KILL", "TYPE", "normal") },
			"both killed": func(s *redistest.Server) {
				s.Do("CLIENT", "KILL", "TYPE", "pubsub")
				s.Do("CLIENT", "KILL", "TYPE", "normal")
			},
			"restarted": func(s *redistest.Server) { s.Restart() },
		} {
			t.Run(way.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				layouttest.EachServer(t, func(t *testing.T, v redistest.Version, _ *redistest.Server) {
					t.Helper()
					server := redistest.Start(t, redistest.WithVersion(v), redistest.WithConfig(way.lines...))
					source := layouttest.OpenServer(t, server, way.more)
					ear := backlogtest.Listen(t, source)
					q := list("jobs")
					for range 3 {
						backlogtest.Arm(t, source, ear, q)
						lose(server)
						ear.AwaitEverything(t)
					}
					backlogtest.Arm(t, source, ear, q)
					server.Do("LPUSH", "jobs", "a")
					ear.Await(t, q)
				})
			})
		}
	}
}

// TestFlushWakes: a server that is emptied sends one invalidation without keys.
func TestFlushWakes(t *testing.T) {
	t.Parallel()
	layouttest.EachServer(t, func(t *testing.T, _ redistest.Version, server *redistest.Server) {
		t.Helper()
		source := layouttest.OpenServer(t, server, nil)
		ear := backlogtest.Listen(t, source)
		q := list("jobs")
		server.Do("LPUSH", "jobs", "a")
		for _, flush := range []string{"FLUSHALL", "FLUSHDB"} {
			backlogtest.Arm(t, source, ear, q)
			server.Do(flush)
			ear.AwaitEverything(t)
		}
		backlogtest.Arm(t, source, ear, q)
		server.Do("LPUSH", "jobs", "a")
		ear.Await(t, q)
	})
}

// TestWakesOfOneKey: every query of a key is woken, and none of another.
func TestWakesOfOneKey(t *testing.T) {
	t.Parallel()
	layouttest.EachServer(t, func(t *testing.T, _ redistest.Version, server *redistest.Server) {
		t.Helper()
		source := layouttest.OpenServer(t, server, nil)
		ear := backlogtest.Listen(t, source)
		one, two, other := stream("s", "one"), stream("s", "two"), stream("other", "one")
		p := newProbe(t, source, ear, server)
		p.settle(t)
		backlogtest.Arm(t, source, ear, one, two, other, p.query)
		server.Do("XADD", "s", "*", "a", "b")
		woken := p.drain(t)
		if !slices.Contains(woken, one) || !slices.Contains(woken, two) || slices.Contains(woken, other) {
			t.Errorf("woken are %v, want both queries of the key and not that of another", woken)
		}
	})
}

// TestArmedOnce: a queue that is not read again does not wake again.
func TestArmedOnce(t *testing.T) {
	t.Parallel()
	for name, more := range map[string]map[string]any{"tracking": nil, "keyspace": {"wakeUp": "keyspace"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t, redistest.WithConfig("notify-keyspace-events KA"))
			source := layouttest.OpenServer(t, server, more)
			ear := backlogtest.Listen(t, source)
			q := list("jobs")
			backlogtest.Arm(t, source, ear, q)
			p := newProbe(t, source, ear, server)
			p.settle(t)
			server.Do("LPUSH", "jobs", "a")
			ear.Await(t, q)
			server.Do("LPUSH", "jobs", "b")
			// What is reported of the second one is reported before the change of the probe.
			if slices.Contains(p.drain(t), q) {
				t.Error("woken twice after one read")
			}
		})
	}
}

// TestWakesAreNotWaitedFor: a reader that takes no wake-ups does not stop the source,
// and gets what it missed as one.
func TestWakesAreNotWaitedFor(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	source := layouttest.OpenServer(t, server, nil)
	ear := backlogtest.Listen(t, source)
	var queries []backlog.Query
	for range 500 {
		queries = append(queries, list(new(layouttest.Names).Next("jobs")))
	}
	last := list("last")
	backlogtest.Arm(t, source, ear, append(queries, last)...)
	for range 20 {
		for _, q := range queries {
			server.Client().LPush(t.Context(), q.Queue, "a")
		}
		backlogtest.Read(t, source, queries...)
	}
	server.Do("LPUSH", "last", "a")
	ear.Await(t, last)
}

// TestFrozen: a server that has stopped is unavailable within the bound of the read, and
// answers again when it goes on.
func TestFrozen(t *testing.T) {
	t.Parallel()
	layouttest.EachServer(t, func(t *testing.T, _ redistest.Version, server *redistest.Server) {
		t.Helper()
		source := layouttest.OpenServer(t, server, nil)
		ear := backlogtest.Listen(t, source)
		q := list("jobs")
		server.Do("LPUSH", "jobs", "a", "b")
		backlogtest.Arm(t, source, ear, q)
		server.Freeze()
		const limit = 200 * time.Millisecond
		for range 3 {
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			begin := time.Now()
			r := source.Read(ctx, []backlog.Query{q}, nil)[0]
			cancel()
			if !errors.Is(r.Err, backlog.ErrUnavailable) || r.Armed {
				t.Fatalf("a frozen server reads as %+v", r)
			}
			// Not the bounds of the connection, which are minutes.
			if took := time.Since(begin); took > limit+time.Minute {
				t.Errorf("a read of at most %s took %s", limit, took)
			}
		}
		server.Thaw()
		ear.AwaitEverything(t)
		redistest.Eventually(t, "the server answers again", func() bool {
			r := backlogtest.Read(t, source, q)[0]
			return r.Err == nil && r.Reading.Ready == 2
		})
		backlogtest.Arm(t, source, ear, q)
		server.Do("RPOP", "jobs")
		ear.Await(t, q)
	})
}

// TestEpoch: the epoch stays while the server lives, whatever happens to connections,
// and changes with a restart.
func TestEpoch(t *testing.T) {
	t.Parallel()
	layouttest.EachServer(t, func(t *testing.T, _ redistest.Version, server *redistest.Server) {
		t.Helper()
		source := layouttest.OpenServer(t, server, nil)
		epoch := func() string {
			var r backlog.Result
			redistest.Eventually(t, "there is an answer", func() bool {
				r = backlogtest.Read(t, source, list("jobs"))[0]
				return r.Err == nil
			})
			return r.Reading.Epoch
		}
		first := epoch()
		server.Do("CLIENT", "KILL", "TYPE", "normal")
		if again := epoch(); again != first || first == "" {
			t.Errorf("epoch %q became %q with a reconnect", first, again)
		}
		server.RestartEmpty()
		if again := epoch(); again == first || again == "" {
			t.Errorf("epoch %q stayed %q with a restart", first, again)
		}
	})
}

// TestLoading: a server that is loading its data is unavailable, not empty.
func TestLoading(t *testing.T) {
	t.Parallel()
	layouttest.EachServer(t, func(t *testing.T, v redistest.Version, _ *redistest.Server) {
		t.Helper()
		// Loading a key takes 2 ms, so that loading takes a while.
		lines := []string{"key-load-delay 2000"}
		if !v.Before(7, 0) {
			// So that it answers while it is loading; before 7.0 it does so too seldom.
			lines = append(lines, "loading-process-events-interval-bytes 1024")
		}
		server := redistest.Start(t, redistest.WithVersion(v), redistest.WithAppendOnly(), redistest.WithConfig(lines...))
		source := layouttest.OpenServer(t, server, nil)
		q := list("jobs")
		server.Do("LPUSH", "jobs", "a", "b")
		pipe := server.Client().Pipeline()
		for range 300 {
			pipe.Set(t.Context(), new(layouttest.Names).Next("filler"), "value", 0)
			pipe.RPush(t.Context(), "other", "value")
		}
		if _, err := pipe.Exec(t.Context()); err != nil {
			t.Fatal(err)
		}
		backlogtest.MustRead(t, source, q)
		restarted := make(chan struct{})
		go func() {
			defer close(restarted)
			server.Restart()
		}()
		for running := true; running; {
			select {
			case <-restarted:
				running = false
			default:
			}
			if r := backlogtest.Read(t, source, q)[0]; r.Err == nil && r.Reading.Ready != 2 {
				t.Fatalf("a server that is loading reads as %+v", r)
			} else if r.Err != nil && !errors.Is(r.Err, backlog.ErrUnavailable) {
				t.Fatal(r.Err)
			}
		}
	})
}

// TestReplicaWithoutData: a replica that has not got its data yet is unavailable.
func TestReplicaWithoutData(t *testing.T) {
	t.Parallel()
	layouttest.EachServer(t, func(t *testing.T, _ redistest.Version, server *redistest.Server) {
		t.Helper()
		server.Do("REPLICAOF", "127.0.0.1", "1")
		source := layouttest.OpenServer(t, server, nil)
		if r := backlogtest.Read(t, source, list("jobs"))[0]; !errors.Is(r.Err, backlog.ErrUnavailable) {
			t.Errorf("a replica without its master reads as %+v", r)
		}
	})
}
