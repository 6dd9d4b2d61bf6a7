package redis_test

import (
	"slices"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
	"github.com/backlog-scaler/backlog-scaler/internal/sampler"
)

// TestFrozenNodeDelaysNoOther: a node of the cluster is silent, and no read of it ends as
// long as the test takes. The queues of the others are woken and read as before, and so is a
// queue whose keys lie on two of them.
func TestFrozenNodeDelaysNoOther(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3, 0)
	// Neither a read nor a confirmation of the silent node ends before the test does.
	s := sampler.New([]backlog.Engine{redis.Engine()}, sampler.Options{ReadTimeout: 10 * patience, SafetyInterval: time.Second, Logger: backlogtest.Logger(t)})
	defer s.Close()
	settings := map[string]any{"mode": "cluster", "answerTimeout": 10 * patience, "dialTimeout": 10 * patience}
	if err := s.Apply(t.Context(), []backlog.Connection{layouttest.Connection(c.Addrs()[:1], settings)}); err != nil {
		t.Fatal(err)
	}
	subscribe := func(q backlog.Query) *sampler.Subscription {
		sub, err := s.Subscribe(backlog.Interest{Connection: "test", Query: q})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(sub.Close)
		return sub
	}
	await := func(what string, sub *sampler.Subscription, fits func(backlog.Observation) bool) {
		t.Helper()
		deadline := time.After(patience)
		for !fits(sub.Observation()) {
			select {
			case <-sub.Changed():
			case <-time.After(time.Millisecond):
			case <-deadline:
				t.Fatalf("%s: %+v", what, sub.Observation())
			}
		}
	}
	armed := func(o backlog.Observation) bool { return o.Err == nil && o.Armed }
	const rounds = 50
	first, second := keysOn(t, c, 1, rounds), keysOn(t, c, 2, rounds)
	var queries []backlog.Query
	for i := range rounds {
		queries = append(queries, list(first[i]), layouttest.Query("list", second[i], "inFlightList", "{"+first[i]+"}:taken"))
	}
	var subs []*sampler.Subscription
	for _, q := range queries {
		subs = append(subs, subscribe(q))
	}
	frozen := keysOn(t, c, 0, 2)
	before := subscribe(list(frozen[0]))
	for _, sub := range append(subs, before) {
		await("not armed", sub, armed)
	}
	c.Masters[0].Freeze()
	silent := subscribe(list(frozen[1]))
	took := make([]time.Duration, len(queries))
	for i, q := range queries {
		began := time.Now()
		c.Masters[1+i%2].Do("LPUSH", q.Queue, "a")
		await("not read", subs[i], func(o backlog.Observation) bool { return o.Latest.Ready == 1 })
		took[i] = time.Since(began)
	}
	if seen := silent.Observation(); seen.Known() || seen.Err != nil {
		t.Errorf("a queue of the silent node is %+v, want nothing known yet", seen)
	}
	slices.Sort(took)
	t.Logf("a write was seen after %s (p50), %s (p90)", took[len(took)/2], took[len(took)*9/10])
	c.Masters[0].Thaw()
	await("not read after the node answers", silent, armed)
}
