package topology

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/conn"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/conn/node"
)

// TestProvisionalNodesAreBounded: servers that others name are not opened without end.
func TestProvisionalNodesAreBounded(t *testing.T) {
	t.Parallel()
	cfg := &conn.Config{Mode: conn.ModeStandalone, WakeUp: conn.WakePoll}
	p := newProvisional(func(address string) *node.Node {
		return node.New(cfg, address, noTracker{}, noTracker{}, slog.New(slog.DiscardHandler))
	})
	t.Cleanup(p.close)
	for i := range maxProvisional {
		if _, err := p.node(fmt.Sprintf("127.0.0.1:%d", i+1)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.node("127.0.0.2:1"); !errors.Is(err, backlog.ErrUnavailable) {
		t.Errorf("one more: %v, want ErrUnavailable", err)
	}
	if _, err := p.node("127.0.0.1:1"); err != nil {
		t.Errorf("one that is there: %v", err)
	}
	p.expire(p.nodes["127.0.0.1:1"].used.Add(2 * provisionalLife))
	if len(p.nodes) != 0 {
		t.Errorf("%d are left that were not used for long", len(p.nodes))
	}
}

// A noTracker knows no keys.
type noTracker struct{}

func (noTracker) Invalidate([]string, time.Time) int { return 0 }
func (noTracker) Len() int                           { return 0 }
func (noTracker) WakeKey(string)                     {}
func (noTracker) WakeAll()                           {}

// A serverError is what a server answered.
type serverError string

func (e serverError) Error() string { return string(e) }

func (serverError) RedisError() {}

func TestRedirect(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		to Redirect
		is bool
	}{
		"MOVED 3999 127.0.0.1:6381":          {Redirect{Address: "127.0.0.1:6381"}, true},
		"ASK 3999 redis-1.shop.svc:6379":     {Redirect{Address: "redis-1.shop.svc:6379", Asking: true}, true},
		"MOVED 3999 :6381":                   {Redirect{Address: "10.0.0.9:6381"}, true},
		"MOVED 3999 ?:6381":                  {Redirect{Address: "10.0.0.9:6381"}, true},
		"MOVED 3999 ::1:6381":                {Redirect{Address: "[::1]:6381"}, true},
		"MOVED 3999 [::1]:6381":              {Redirect{Address: "[::1]:6381"}, true},
		"MOVED 3999 127.0.0.1:0":             {Redirect{}, true},
		"MOVED 3999 user@host/x:1":           {Redirect{}, true},
		"MOVED 3999":                         {Redirect{}, true},
		"MOVED":                              {Redirect{}, true},
		"CLUSTERDOWN Hash slot not served":   {},
		"TRYAGAIN Multiple keys request ...": {},
	} {
		to, is := RedirectOf(serverError(text), "10.0.0.9:7000")
		if diff := cmp.Diff(want.to, to); diff != "" || is != want.is {
			t.Errorf("%q redirects: %t (-want +got):\n%s", text, is, diff)
		}
	}
}

// TestProvisionalNodeIsTakenOver: a server that others have named becomes part of the slot map
// with the connections that it has.
func TestProvisionalNodeIsTakenOver(t *testing.T) {
	t.Parallel()
	cfg := &conn.Config{Mode: conn.ModeCluster, WakeUp: conn.WakePoll}
	shards := []shard{{0, Slots - 1, "127.0.0.1:1"}}
	resolve := func(context.Context, []shard) ([]shard, error) { return shards, nil }
	open := func(address string) *node.Node {
		return node.New(cfg, address, noTracker{}, noTracker{}, slog.New(slog.DiscardHandler))
	}
	topology := newTopology(resolve, open, noTracker{}, slog.New(slog.DiscardHandler))
	t.Cleanup(topology.Close)
	m, err := topology.Refresh(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	named, err := topology.Node(m, "127.0.0.1:2")
	if err != nil {
		t.Fatal(err)
	}
	shards = []shard{{0, 99, "127.0.0.1:1"}, {100, Slots - 1, "127.0.0.1:2"}}
	if m, err = topology.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if m.nodes["127.0.0.1:2"] != named {
		t.Error("the server was opened once more")
	}
	if n := len(topology.provisional.nodes); n != 0 {
		t.Errorf("%d servers are kept although they own no slots, want none", n)
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
		topology := newTopology(resolve, nil, noTracker{}, slog.New(slog.DiscardHandler))
		topology.semaphore <- struct{}{}
		var asking sync.WaitGroup
		for range 50 {
			asking.Go(func() {
				if _, err := topology.Refresh(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		<-topology.semaphore
		asking.Wait()
		if questions != 1 {
			t.Errorf("%d questions for 50 that ask, want 1", questions)
		}
	})
}
