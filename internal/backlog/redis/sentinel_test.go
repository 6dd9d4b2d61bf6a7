package redis_test

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"strings"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

func openSentinel(t testing.TB, g *redistest.Group, more map[string]any) backlog.Source {
	t.Helper()
	settings := map[string]any{"mode": "sentinel", "masterName": g.Name}
	maps.Copy(settings, more)
	return backlogtest.Open(t, redis.Engine(), layouttest.Connection(g.Addrs(), settings))
}

// TestSentinelFailover: the source follows the master, whichever way it is lost.
func TestSentinelFailover(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(*redistest.Group, *redistest.Server){
		"killed":  func(_ *redistest.Group, s *redistest.Server) { s.Kill() },
		"frozen":  func(_ *redistest.Group, s *redistest.Server) { s.Freeze() },
		"ordered": func(g *redistest.Group, _ *redistest.Server) { g.Sentinels[1].Do("SENTINEL", "FAILOVER", g.Name) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := redistest.StartSentinel(t)
			source := openSentinel(t, g, nil)
			ear := backlogtest.Listen(t, source)
			q := list("jobs")
			old := g.Master(t)
			old.Do("LPUSH", "jobs", "a", "b")
			old.Do("WAIT", 2, 5000)
			backlogtest.Arm(t, source, ear, q)
			epoch := backlogtest.MustRead(t, source, q).Epoch
			lose(g, old)
			g.AllowFailover()
			neverLess(t, source, q, 2, func(r backlog.Reading) bool { return r.Epoch != epoch })
			now := g.AwaitFailover(t, old)
			backlogtest.Arm(t, source, ear, q)
			now.Do("LPUSH", "jobs", "c")
			ear.Await(t, q)
			if r := backlogtest.MustRead(t, source, q); r.Ready != 3 {
				t.Errorf("after the failover the queue reads as %+v", r)
			}
			if name != "frozen" {
				return
			}
			// The old master comes back, does not know yet that it is none, and is not asked.
			old.Thaw()
			for range 50 {
				if r := backlogtest.MustRead(t, source, q); r.Ready != 3 {
					t.Fatalf("after the old master is back the queue reads as %+v", r)
				}
			}
		})
	}
}

// TestSentinelMistakes: what the sentinels do not know is unavailable and says so.
func TestSentinelMistakes(t *testing.T) {
	t.Parallel()
	g := redistest.StartSentinel(t)
	t.Run("unknown master", func(t *testing.T) {
		t.Parallel()
		source := openSentinel(t, g, map[string]any{"masterName": "stranger"})
		r := backlogtest.Read(t, source, list("jobs"))[0]
		if !errors.Is(r.Err, backlog.ErrUnavailable) || !strings.Contains(r.Err.Error(), `knows no master "stranger"`) {
			t.Errorf("%+v", r)
		}
	})
	t.Run("one sentinel is enough", func(t *testing.T) {
		t.Parallel()
		addresses := []string{"127.0.0.1:1", "127.0.0.1:2", g.Sentinels[2].Addr()}
		source := backlogtest.Open(t, redis.Engine(), layouttest.Connection(addresses, map[string]any{"mode": "sentinel", "masterName": g.Name}))
		backlogtest.MustRead(t, source, list("jobs"))
	})
	t.Run("no sentinel", func(t *testing.T) {
		t.Parallel()
		source := backlogtest.Open(t, redis.Engine(), layouttest.Connection([]string{"127.0.0.1:1"}, map[string]any{"mode": "sentinel", "masterName": g.Name}))
		if r := backlogtest.Read(t, source, list("jobs"))[0]; !errors.Is(r.Err, backlog.ErrUnavailable) {
			t.Errorf("%+v", r)
		}
	})
}

// TestSentinelForgotten: a sentinel that is alone with a server of the past names that one,
// and is the first to be asked. The others know better.
func TestSentinelForgotten(t *testing.T) {
	t.Parallel()
	g := redistest.StartSentinel(t)
	past := redistest.Start(t)
	g.Master(t).Do("LPUSH", "jobs", "a", "b")
	g.Master(t).Do("WAIT", 2, 5000)
	old := g.Master(t)
	g.Sentinels[1].Do("SENTINEL", "FAILOVER", g.Name)
	g.AwaitFailover(t, old)
	for _, s := range g.Sentinels {
		// The failover is over where all know of it.
		redistest.Eventually(t, "the sentinels know the new master", func() bool {
			pair, _ := s.Do("SENTINEL", "GET-MASTER-ADDR-BY-NAME", g.Name).([]any)
			return len(pair) == 2 && fmt.Sprintf("%s:%s", pair...) != old.Addr()
		})
	}
	host, port, _ := net.SplitHostPort(past.Addr())
	g.Sentinels[0].Do("SENTINEL", "REMOVE", g.Name)
	g.Sentinels[0].Do("SENTINEL", "MONITOR", g.Name, host, port, 2)
	for name, addresses := range map[string][]string{
		"the first of three": g.Addrs(),
		"the first of two":   g.Addrs()[:2],
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source := backlogtest.Open(t, redis.Engine(), layouttest.Connection(addresses, map[string]any{"mode": "sentinel", "masterName": g.Name}))
			ear := backlogtest.Listen(t, source)
			backlogtest.Arm(t, source, ear, list("jobs"))
			for range 20 {
				if r := backlogtest.MustRead(t, source, list("jobs")); r.Ready != 2 {
					t.Fatalf("a queue of 2 reads as %+v", r)
				}
			}
		})
	}
}

// TestSentinelCutOff: a sentinel that reaches neither the others nor a replica may be on the
// wrong side of a partition, with a master that was replaced on the other.
func TestSentinelCutOff(t *testing.T) {
	t.Parallel()
	g := redistest.StartSentinel(t)
	master := g.Master(t)
	source := openSentinel(t, g, nil)
	ear := backlogtest.Listen(t, source)
	q := list("jobs")
	backlogtest.Arm(t, source, ear, q)
	others := g.Sentinels[1:]
	for _, s := range g.Servers {
		if s != master {
			others = append(others, s)
		}
	}
	for _, s := range others {
		s.Freeze()
	}
	g.Sentinels[0].Do("SENTINEL", "SET", g.Name, "down-after-milliseconds", 500)
	redistest.Eventually(t, "the queue is unavailable", func() bool {
		r := backlogtest.Read(t, source, q)[0]
		return errors.Is(r.Err, backlog.ErrUnavailable)
	})
	if n := master.Do("LLEN", q.Queue); n != int64(0) {
		t.Errorf("the master itself says %v, want 0", n)
	}
	g.Sentinels[0].Do("SENTINEL", "SET", g.Name, "down-after-milliseconds", 3_600_000)
	for _, s := range others {
		s.Thaw()
	}
	backlogtest.Arm(t, source, ear, q)
}
