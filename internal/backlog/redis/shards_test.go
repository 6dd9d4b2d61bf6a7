package redis

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/quota"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/conn"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/conn/topology"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/keyscan"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/wakes"
)

// An evenMap is a cluster of so many servers, each with as many slots.
type evenMap struct{ servers int }

func (m *evenMap) Owners(keys []string) ([]string, error) {
	var addresses []string
	for _, key := range keys {
		addresses = append(addresses, fmt.Sprintf("10.0.0.1:%d", 1000+topology.SlotOf(key)*m.servers/topology.Slots))
	}
	slices.Sort(addresses)
	return slices.Compact(addresses), nil
}

// TestShardsOfQueries: queries whose keys lie on the same servers have the same shard.
func TestShardsOfQueries(t *testing.T) {
	t.Parallel()
	s := &source{
		cfg: &conn.Config{Mode: conn.ModeCluster}, tracker: newTracker(wakes.New()), keys: keyscan.New(nil, wakes.New()), topology: &topology.Topology{},
		layouts: make(map[string]layout.Layout), quota: quota.New(),
	}
	for _, l := range layouts() {
		s.layouts[l.Name] = l
	}
	list := func(queue, taken string) backlog.Query {
		q := backlog.Query{Layout: "list", Queue: queue}
		if taken != "" {
			q.Params = backlog.NewParams(map[string]string{"inFlightList": taken})
		}
		return q
	}
	if name := s.Shard(list("jobs", "")); name != "" {
		t.Errorf("of an unknown topology the shard is %q, want none", name)
	}
	m := &evenMap{servers: 64}
	names := make(map[string]int)
	for i := range 1000 {
		names[s.shardIn(m, list(fmt.Sprint("jobs", i), fmt.Sprint("taken", i)))]++
		if name := s.shardIn(m, list(fmt.Sprint("{jobs", i, "}"), "{queue}:taken")); strings.Contains(name, "+") || name == "" {
			t.Fatalf("two keys of one slot lie on %q", name)
		}
	}
	several := 0
	for name := range names {
		if strings.Contains(name, "+") {
			several++
		}
	}
	if several != maxCombinations || names[sharedShard] == 0 {
		t.Errorf("%d combinations of servers have a shard, want %d, and %d queries share the rest", several, maxCombinations, names[sharedShard])
	}
	if name := s.shardIn(m, backlog.Query{Layout: "nothing", Queue: "jobs"}); name != "" {
		t.Errorf("a query that cannot be read has the shard %q, want none", name)
	}
}
