package redis_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

func openCluster(t testing.TB, c *redistest.Cluster, more map[string]any) backlog.Source {
	t.Helper()
	settings := map[string]any{"mode": "cluster"}
	maps.Copy(settings, more)
	// One address is enough to find the others.
	return backlogtest.Open(t, redis.Engine(), layouttest.Connection(c.Addrs()[:1], settings))
}

// keysOn returns n keys in slots of the master at the given place.
func keysOn(t testing.TB, c *redistest.Cluster, place, n int) []string {
	t.Helper()
	var keys []string
	for i := 0; len(keys) < n; i++ {
		if key := fmt.Sprintf("jobs:%d", i); c.Owner(t, key) == place {
			keys = append(keys, key)
		}
	}
	return keys
}

// TestCluster: every layout on a cluster of each version, in one batch, with wake-ups
// of all nodes and with the least rights.
func TestCluster(t *testing.T) {
	t.Parallel()
	for _, v := range redistest.Versions(t) {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			c := redistest.StartCluster(t, 3, 0, redistest.WithVersion(v))
			var more map[string]any
			for _, m := range c.Masters {
				more = layouttest.User(v, m, "%R~*", redis.ACLRules, redis.ACLScanRules, redis.ACLClusterRules)
			}
			source := openCluster(t, c, more)
			ear := backlogtest.Listen(t, source)
			var queries []backlog.Query
			all := cases(c.NewClient(t))
			for range 4 {
				for _, k := range all {
					queries = append(queries, k.Query(t))
				}
			}
			backlogtest.Arm(t, source, ear, queries...)
			for i, q := range queries {
				all[i%len(all)].Add(t, q, i%3+1)
				ear.Await(t, q)
			}
			for i, r := range backlogtest.Read(t, source, queries...) {
				if r.Err != nil || r.Reading.Backlog() != int64(i%3+1) {
					t.Errorf("%+v reads as %+v, want %d", queries[i], r, i%3+1)
				}
			}
			corrupted := all[0].Query(t)
			all[0].Corrupt(t, corrupted)
			if r := backlogtest.Read(t, source, corrupted)[0]; !errors.Is(r.Err, backlog.ErrMismatch) {
				t.Errorf("%+v, want ErrMismatch", r)
			}
			for _, m := range c.Masters {
				if refused, _ := m.Do("ACL", "LOG").([]any); len(refused) > 0 {
					t.Errorf("refused were %v", refused)
				}
			}
		})
	}
}

// TestClusterKeyspace: keyspace notifications are not passed on between the nodes of a
// cluster, so each node is listened to.
func TestClusterKeyspace(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3, 0, redistest.WithConfig("notify-keyspace-events KA"))
	source := openCluster(t, c, map[string]any{"wakeUp": "keyspace"})
	ear := backlogtest.Listen(t, source)
	var queries []backlog.Query
	for place := range c.Masters {
		queries = append(queries, list(keysOn(t, c, place, 1)[0]))
	}
	backlogtest.Arm(t, source, ear, queries...)
	for place, q := range queries {
		c.Masters[place].Do("LPUSH", q.Queue, "a")
		ear.Await(t, q)
	}
}

// TestClusterKeysOfSeveralSlots: the keys of one query may lie on different nodes.
func TestClusterKeysOfSeveralSlots(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3, 0)
	source := openCluster(t, c, nil)
	ear := backlogtest.Listen(t, source)
	ready, taken := keysOn(t, c, 0, 1)[0], keysOn(t, c, 2, 1)[0]
	q := backlog.Query{Layout: "list", Queue: ready, Params: backlog.NewParams(map[string]string{"inFlightList": taken})}
	for i, key := range []string{ready, taken} {
		backlogtest.Arm(t, source, ear, q)
		c.Masters[2*i].Do("LPUSH", key, "a")
		ear.Await(t, q)
	}
	if r := backlogtest.MustRead(t, source, q); r.Ready != 1 || r.InFlight != backlog.Exactly(1) {
		t.Errorf("%+v, want 1 ready and 1 in flight", r)
	}
}

// TestClusterNodeDown: the queues of a node that is down are unavailable, the others
// are not.
func TestClusterNodeDown(t *testing.T) {
	t.Parallel()
	for name, stop := range map[string]func(*redistest.Server){"killed": (*redistest.Server).Kill, "frozen": (*redistest.Server).Freeze} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := redistest.StartCluster(t, 3, 0)
			source := openCluster(t, c, nil)
			down, up := list(keysOn(t, c, 0, 1)[0]), list(keysOn(t, c, 1, 1)[0])
			c.Masters[0].Do("LPUSH", down.Queue, "a")
			c.Masters[1].Do("LPUSH", up.Queue, "a")
			for _, r := range backlogtest.Read(t, source, down, up) {
				if r.Err != nil || r.Reading.Ready != 1 {
					t.Fatalf("%+v", r)
				}
			}
			stop(c.Masters[0])
			// As long as the one that is down takes, and longer than the other does.
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			results := source.Read(ctx, []backlog.Query{down, up}, nil)
			if !errors.Is(results[0].Err, backlog.ErrUnavailable) {
				t.Errorf("the queue of a node that is down reads as %+v", results[0])
			}
			if results[1].Err != nil || results[1].Reading.Ready != 1 {
				t.Errorf("the queue of another node reads as %+v", results[1])
			}
		})
	}
}

// TestClusterMove: an empty queue has no key that could move with its slot, so its
// arming is lost in silence. The change of the topology must wake everything.
func TestClusterMove(t *testing.T) {
	t.Parallel()
	for _, v := range redistest.Versions(t) {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			c := redistest.StartCluster(t, 3, 0, redistest.WithVersion(v))
			source := openCluster(t, c, nil)
			ear := backlogtest.Listen(t, source)
			keys := keysOn(t, c, 0, 2)
			empty, full := list(keys[0]), list(keys[1])
			c.Masters[0].Do("LPUSH", full.Queue, "a", "b")
			backlogtest.Arm(t, source, ear, empty, full)
			c.Move(t, empty.Queue, 1)
			ear.AwaitEverything(t)
			c.Move(t, full.Queue, 2)
			ear.AwaitEverything(t)
			backlogtest.Arm(t, source, ear, empty, full)
			if r := backlogtest.MustRead(t, source, full); r.Ready != 2 {
				t.Errorf("a queue that was moved reads as %+v", r)
			}
			c.Masters[1].Do("LPUSH", empty.Queue, "a")
			ear.Await(t, empty)
		})
	}
}

// TestClusterMoveUnderWay: while a slot is on its way, keys that are not at the old
// owner are asked for at the new one, and nothing claims to be armed.
func TestClusterMoveUnderWay(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3, 0)
	source := openCluster(t, c, nil)
	q := list(keysOn(t, c, 0, 1)[0])
	backlogtest.MustRead(t, source, q)
	c.BeginMove(t, q.Queue, 1)
	r := backlogtest.Read(t, source, q)[0]
	if r.Err != nil || !r.Reading.Missing || r.Armed {
		t.Errorf("an empty queue on its way reads as %+v", r)
	}
	conn := c.Masters[1].Client().Conn()
	defer func() { _ = conn.Close() }()
	if err := conn.Do(t.Context(), "ASKING").Err(); err != nil {
		t.Fatal(err)
	}
	if err := conn.LPush(t.Context(), q.Queue, "a").Err(); err != nil {
		t.Fatal(err)
	}
	if r := backlogtest.Read(t, source, q)[0]; r.Err != nil || r.Reading.Ready != 1 || r.Armed {
		t.Errorf("a queue of 1 on its way reads as %+v", r)
	}
}

// TestClusterFailover: a replica takes over with all that the master had acknowledged.
func TestClusterFailover(t *testing.T) {
	t.Parallel()
	for name, stop := range map[string]func(*redistest.Server){"killed": (*redistest.Server).Kill, "frozen": (*redistest.Server).Freeze} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := redistest.StartCluster(t, 3, 1)
			source := openCluster(t, c, nil)
			ear := backlogtest.Listen(t, source)
			q := list(keysOn(t, c, 0, 1)[0])
			c.Masters[0].Do("LPUSH", q.Queue, "a", "b")
			c.Masters[0].Do("WAIT", 1, 5000)
			backlogtest.Arm(t, source, ear, q)
			epoch := backlogtest.MustRead(t, source, q).Epoch
			stop(c.Masters[0])
			c.AllowFailover(0)
			neverLess(t, source, q, 2, func(r backlog.Reading) bool { return r.Epoch != epoch })
			backlogtest.Arm(t, source, ear, q)
			c.AwaitFailover(t, 0).Do("LPUSH", q.Queue, "c")
			ear.Await(t, q)
			if r := backlogtest.MustRead(t, source, q); r.Ready != 3 {
				t.Errorf("after the failover the queue reads as %+v", r)
			}
		})
	}
}

// neverLess reads q until a reading is wanted, and wants no reading to be less than n
// and every error to be ErrUnavailable.
func neverLess(t testing.TB, source backlog.Source, q backlog.Query, n int64, wanted func(backlog.Reading) bool) {
	t.Helper()
	redistest.Eventually(t, "there is an answer of the new master", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		r := source.Read(ctx, []backlog.Query{q}, nil)[0]
		switch {
		case r.Err != nil && !errors.Is(r.Err, backlog.ErrUnavailable):
			t.Fatal(r.Err)
		case r.Err == nil && r.Reading.Ready < n:
			t.Fatalf("a queue of %d reads as %+v", n, r)
		}
		return r.Err == nil && wanted(r.Reading)
	})
}

// TestFrameworksInCluster: queues of frameworks on all nodes in one batch, with the least rights.
func TestFrameworksInCluster(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3, 0)
	var more map[string]any
	for _, m := range c.Masters {
		more = layouttest.User(redistest.Version{Name: "redis-7"}, m, "%R~*", redis.ACLRules, redis.ACLFrameworkRules, redis.ACLClusterRules)
	}
	source := openCluster(t, c, more)
	ear := backlogtest.Listen(t, source)
	client, k := c.NewClient(t), new(layouttest.Names)
	var queries []backlog.Query
	var waiting []string
	for range 4 {
		for _, l := range []struct{ layout, prefix, waiting string }{
			{"bullmq", "{bull}", "{bull}:%s:wait"},
			{"beequeue", "{bq}", "{bq}:%s:waiting"},
			{"asynq", "", "asynq:{%s}:pending"},
		} {
			queue := k.Next("q")
			queries = append(queries, layouttest.Query(l.layout, queue, "prefix", l.prefix))
			waiting = append(waiting, fmt.Sprintf(l.waiting, queue))
		}
	}
	backlogtest.Arm(t, source, ear, queries...)
	for i, q := range queries {
		for range i%3 + 1 {
			if err := client.LPush(t.Context(), waiting[i], k.Next("job")).Err(); err != nil {
				t.Fatal(err)
			}
		}
		ear.Await(t, q)
	}
	for i, r := range backlogtest.Read(t, source, queries...) {
		if r.Err != nil || r.Reading.Ready != int64(i%3+1) {
			t.Errorf("%+v reads as %+v, want %d", queries[i], r, i%3+1)
		}
	}
}
