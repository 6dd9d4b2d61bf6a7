package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// openInside opens the source of a cluster, for a look inside.
func openInside(t *testing.T, c *redistest.Cluster) *shardedSource {
	t.Helper()
	settings := map[string]any{"mode": modeCluster, "addresses": c.Addrs()[:1]}
	opened, err := open(t.Context(), backlog.Connection{Name: "test", Settings: backlog.NewSettings(settings)}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = opened.Close() })
	sharded, ok := opened.(*shardedSource)
	if !ok {
		t.Fatalf("the source of a cluster is %T", opened)
	}
	return sharded
}

// TestMovedToAnUnknownServer: a slot moves to a server that joined just now. Reading follows
// at once, although the topology cannot be asked for.
func TestMovedToAnUnknownServer(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3, 0)
	s := openInside(t, c)
	q := backlog.Query{Layout: "list", Queue: "jobs"}
	redistest.Eventually(t, "the queue is read", func() bool { return s.Read(t.Context(), []backlog.Query{q}, nil)[0].Err == nil })
	// As long as this is held nothing is asked for.
	s.topology.turn <- struct{}{}
	joined := c.Join(t)
	c.Move(t, q.Queue, 3)
	joined.Do("LPUSH", q.Queue, "a", "b", "c")
	for range 3 {
		r := s.Read(t.Context(), []backlog.Query{q}, nil)[0]
		if r.Err != nil || r.Reading.Ready != 3 {
			t.Fatalf("a queue of 3 reads as %+v", r)
		}
	}
	<-s.topology.turn
	redistest.Eventually(t, "the server is part of the topology", func() bool {
		return s.topology.now.Load().nodes[joined.Addr()] != nil
	})
	if r := s.Read(t.Context(), []backlog.Query{q}, nil)[0]; r.Err != nil || r.Reading.Ready != 3 {
		t.Errorf("a queue of 3 reads as %+v", r)
	}
	if n := len(s.topology.guests.nodes); n != 0 {
		t.Errorf("%d servers are kept although they own no slots, want none", n)
	}
}

// TestGuestsAreBounded: servers that others name are not opened without end.
func TestGuestsAreBounded(t *testing.T) {
	t.Parallel()
	cfg, err := newConfig(backlog.Connection{Name: "test", Settings: backlog.NewSettings(map[string]any{"addresses": []string{"127.0.0.1:1"}, "wakeUp": wakePoll})})
	if err != nil {
		t.Fatal(err)
	}
	openNode := func(address string) *node {
		return newNode(cfg, address, newWakes(), newWatchlist(), slog.New(slog.DiscardHandler))
	}
	g := &guests{open: openNode, nodes: make(map[string]guest)}
	t.Cleanup(g.close)
	for i := range maxGuests {
		if _, err := g.at(fmt.Sprintf("127.0.0.1:%d", i+1)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := g.at("127.0.0.2:1"); !errors.Is(err, backlog.ErrUnavailable) {
		t.Errorf("one more: %v, want ErrUnavailable", err)
	}
	if _, err := g.at("127.0.0.1:1"); err != nil {
		t.Errorf("one that is there: %v", err)
	}
	g.expire(g.nodes["127.0.0.1:1"].used.Add(2 * guestLife))
	if len(g.nodes) != 0 {
		t.Errorf("%d are left that were not used for long", len(g.nodes))
	}
}

// A serverError is what a server answered.
type serverError string

func (e serverError) Error() string { return string(e) }

func (serverError) RedisError() {}

func TestRedirect(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		to redirect
		is bool
	}{
		"MOVED 3999 127.0.0.1:6381":          {redirect{address: "127.0.0.1:6381"}, true},
		"ASK 3999 redis-1.shop.svc:6379":     {redirect{address: "redis-1.shop.svc:6379", asking: true}, true},
		"MOVED 3999 :6381":                   {redirect{address: "10.0.0.9:6381"}, true},
		"MOVED 3999 ?:6381":                  {redirect{address: "10.0.0.9:6381"}, true},
		"MOVED 3999 ::1:6381":                {redirect{address: "[::1]:6381"}, true},
		"MOVED 3999 [::1]:6381":              {redirect{address: "[::1]:6381"}, true},
		"MOVED 3999 127.0.0.1:0":             {redirect{}, true},
		"MOVED 3999 user@host/x:1":           {redirect{}, true},
		"MOVED 3999":                         {redirect{}, true},
		"MOVED":                              {redirect{}, true},
		"CLUSTERDOWN Hash slot not served":   {},
		"TRYAGAIN Multiple keys request ...": {},
	} {
		to, is := redirectOf(serverError(text), "10.0.0.9:7000")
		if diff := cmp.Diff(want.to, to, cmp.AllowUnexported(redirect{})); diff != "" || is != want.is {
			t.Errorf("%q redirects: %t (-want +got):\n%s", text, is, diff)
		}
	}
}

// TestRefreshIsShared: those that wait for the topology at a time share one answer.
func TestRefreshIsShared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		questions := 0
		resolve := func(context.Context, []shard) ([]shard, error) {
			questions++
			return []shard{}, nil
		}
		topology := newTopology(resolve, nil, newWakes(), slog.New(slog.DiscardHandler))
		topology.turn <- struct{}{}
		var asking sync.WaitGroup
		for range 50 {
			asking.Go(func() {
				if _, err := topology.refresh(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		<-topology.turn
		asking.Wait()
		if questions != 1 {
			t.Errorf("%d questions for 50 that ask, want 1", questions)
		}
	})
}
