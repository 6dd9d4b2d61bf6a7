package redis_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// TestClusterNodeRemoved: the only node that the settings name leaves the cluster and lives
// on. Then a slot moves among the others: its queue is woken and read there.
func TestClusterNodeRemoved(t *testing.T) {
	t.Parallel()
	for name, remove := range map[string]func(*redistest.Cluster, *redistest.Server){
		"forgotten":       func(*redistest.Cluster, *redistest.Server) {},
		"reset":           func(_ *redistest.Cluster, s *redistest.Server) { s.Do("CLUSTER", "RESET", "SOFT") },
		"reset for good":  func(_ *redistest.Cluster, s *redistest.Server) { s.Do("CLUSTER", "RESET", "HARD") },
		"another cluster": becomesAnother,
		"forgets all others": func(c *redistest.Cluster, s *redistest.Server) {
			for _, m := range c.Masters {
				s.Do("CLUSTER", "FORGET", m.Do("CLUSTER", "MYID"))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := redistest.StartCluster(t, 3, 0)
			seed := c.Join(t)
			source := backlogtest.Open(t, redis.Engine(), layouttest.Connection([]string{seed.Addr()}, map[string]any{"mode": "cluster"}))
			ear := backlogtest.Listen(t, source)
			q := list(keysOn(t, c, 0, 1)[0])
			backlogtest.Arm(t, source, ear, q)
			c.Leave(t)
			remove(c, seed)
			c.Move(t, q.Queue, 1)
			ear.AwaitEverything(t)
			c.Masters[1].Do("LPUSH", q.Queue, "a", "b", "c")
			awaitReady(t, source, q, 3)
			c.Masters[1].Do("DEL", q.Queue)
			backlogtest.Arm(t, source, ear, q)
			c.Masters[1].Do("LPUSH", q.Queue, "a")
			ear.Await(t, q)
		})
	}
}

// TestClusterBuiltAgain: all nodes forget everything and become a cluster with other owners,
// whose epochs are older than those before.
func TestClusterBuiltAgain(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3, 0)
	for range 3 {
		c.Masters[2].Do("CLUSTER", "BUMPEPOCH")
	}
	source := openCluster(t, c, nil)
	ear := backlogtest.Listen(t, source)
	q := list(keysOn(t, c, 1, 1)[0])
	backlogtest.Arm(t, source, ear, q)
	c.BuildAgain(t)
	if owner := c.Owner(t, q.Queue); owner != 0 {
		t.Fatalf("the owner is %d, want 0", owner)
	}
	c.Masters[0].Do("LPUSH", q.Queue, "a", "b", "c")
	ear.Await(t, q)
	awaitReady(t, source, q, 3)
}

// becomesAnother makes a server a cluster of its own that serves all slots.
func becomesAnother(_ *redistest.Cluster, s *redistest.Server) {
	s.Do("CLUSTER", "RESET", "HARD")
	all := []any{"CLUSTER", "ADDSLOTS"}
	for slot := range 16384 {
		all = append(all, slot)
	}
	s.Do(all...)
	s.Do("CLUSTER", "SET-CONFIG-EPOCH", 1000)
}

// awaitReady reads q until it has n messages, and wants every reading to say so: what is not
// known meanwhile is an error.
func awaitReady(t testing.TB, source backlog.Source, q backlog.Query, n int64) {
	t.Helper()
	redistest.Eventually(t, "the queue is read", func() bool {
		r := backlogtest.Read(t, source, q)[0]
		if r.Err == nil && r.Reading.Ready != n {
			t.Fatalf("a queue of %d reads as %+v", n, r.Reading)
		}
		return r.Err == nil
	})
}

// TestClusterCutOff: a node that does not reach most of the others answers every client, if
// it is set so. What it holds may be of the past.
func TestClusterCutOff(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3, 0, redistest.WithConfig("cluster-allow-reads-when-down yes"))
	source := openCluster(t, c, nil)
	ear := backlogtest.Listen(t, source)
	q := list(keysOn(t, c, 0, 1)[0])
	backlogtest.Arm(t, source, ear, q)
	for _, m := range c.Masters[1:] {
		m.Freeze()
	}
	c.Masters[0].Do("CONFIG", "SET", "cluster-node-timeout", 1000)
	redistest.Eventually(t, "the queue is unavailable", func() bool {
		r := backlogtest.Read(t, source, q)[0]
		return errors.Is(r.Err, backlog.ErrUnavailable)
	})
	for range 20 {
		if r := backlogtest.Read(t, source, q)[0]; !errors.Is(r.Err, backlog.ErrUnavailable) {
			t.Fatalf("a queue of a node that is cut off reads as %+v", r)
		}
	}
	if value, err := c.Masters[0].Client().LLen(t.Context(), q.Queue).Result(); err != nil || value != 0 {
		t.Errorf("the node itself says %d, %v, want 0", value, err)
	}
	c.Masters[0].Do("CONFIG", "SET", "cluster-node-timeout", 3_600_000)
	for _, m := range c.Masters[1:] {
		m.Thaw()
	}
	backlogtest.Arm(t, source, ear, q)
}

// TestClusterSlotWithoutOwner: the queues of a slot that no node owns are unavailable, the
// others are read and confirmed.
func TestClusterSlotWithoutOwner(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3, 0)
	source := openCluster(t, c, nil)
	ear := backlogtest.Listen(t, source)
	keys := keysOn(t, c, 0, 2)
	lost, kept := list(keys[0]), list(keys[1])
	backlogtest.Arm(t, source, ear, lost, kept)
	slot := c.Masters[0].Do("CLUSTER", "KEYSLOT", lost.Queue)
	for _, m := range c.Masters {
		m.Do("CLUSTER", "DELSLOTS", slot)
	}
	redistest.Eventually(t, "the queue of the slot is unavailable", func() bool {
		results := backlogtest.Read(t, source, lost, kept)
		if results[1].Err != nil || results[1].Reading.Ready != 0 {
			t.Fatalf("the queue of another slot reads as %+v", results[1])
		}
		return errors.Is(results[0].Err, backlog.ErrUnavailable)
	})
	backlogtest.Arm(t, source, ear, kept)
	c.Masters[0].Do("LPUSH", kept.Queue, "a")
	ear.Await(t, kept)
	c.Masters[1].Do("CLUSTER", "ADDSLOTS", slot)
	c.Masters[1].Do("CLUSTER", "BUMPEPOCH")
	backlogtest.Arm(t, source, ear, lost)
}

// TestClusterConfirmsByOwner: what is armed on a server whose slot is on its way is not
// confirmed, because what is written to the queue goes to the other server. What lies on
// other servers is.
func TestClusterConfirmsByOwner(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3, 0)
	source := openCluster(t, c, nil)
	ear := backlogtest.Listen(t, source)
	leaving, staying := list(keysOn(t, c, 0, 1)[0]), list(keysOn(t, c, 2, 1)[0])
	backlogtest.Arm(t, source, ear, leaving, staying)
	c.BeginMove(t, leaving.Queue, 1)
	wantUnconfirmed(t, source, leaving, staying)
}

// TestClusterConfirmsNextToFrozenNode: a node that is silent is not confirmed, the others are.
func TestClusterConfirmsNextToFrozenNode(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3, 0)
	source := openCluster(t, c, nil)
	ear := backlogtest.Listen(t, source)
	silent, speaking := list(keysOn(t, c, 0, 1)[0]), list(keysOn(t, c, 2, 1)[0])
	backlogtest.Arm(t, source, ear, silent, speaking)
	c.Masters[0].Freeze()
	wantUnconfirmed(t, source, silent, speaking)
}

// wantUnconfirmed confirms what is armed, and wants that to concern the one query only.
func wantUnconfirmed(t testing.TB, source backlog.Source, no, yes backlog.Query) {
	t.Helper()
	confirmer, ok := source.(backlog.Confirmer)
	if !ok {
		t.Fatalf("%T does not confirm", source)
	}
	var partly *backlog.PartlyConfirmedError
	redistest.Eventually(t, "some is confirmed", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		began := time.Now()
		until, err := confirmer.Confirm(ctx)
		if err == nil {
			t.Fatalf("all is confirmed until %s", until)
		}
		return errors.As(err, &partly) && !until.Before(began) && !partly.Unconfirmed(yes)
	})
	if !partly.Unconfirmed(no) {
		t.Errorf("%s is confirmed in spite of %v", no.Queue, partly)
	}
}
