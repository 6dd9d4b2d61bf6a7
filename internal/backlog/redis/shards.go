package redis

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

const (
	// maxCombinations is how many combinations of servers have a shard of their own, because
	// the keys of a query lie on several. Those beyond share one.
	maxCombinations = 32
	// sharedShard is the name of that one.
	sharedShard = "*"
)

// A slotMap is one state of the topology: *topology.SlotMap.
type slotMap interface {
	// Owners returns the addresses of the servers that own some keys, in order.
	Owners(keys []string) ([]string, error)
}

// A shardName is the shard of a query in one state of the topology.
type shardName struct {
	name string
	of   slotMap
}

// A shardedSource is the source of a cluster. It implements backlog.Sharded: a server that
// is silent keeps no query waiting whose keys lie elsewhere.
type shardedSource struct {
	*source

	// readers are used again by ReadShard.
	readers sync.Pool

	// The tracker's planning guards what follows: the names of shards of several servers,
	// and the state of the topology that they belong to.
	combinations map[string]struct{}
	of           slotMap
}

// Shard implements backlog.Sharded. The name is that of the servers that own the keys; empty
// where that is not known.
func (s *shardedSource) Shard(q backlog.Query) string {
	m := s.topology.Known()
	if m == nil {
		return ""
	}
	return s.shardIn(m, q)
}

// shardIn returns the shard of a query in one state of the topology.
func (s *shardedSource) shardIn(m slotMap, q backlog.Query) string {
	s.tracker.planning.Lock()
	defer s.tracker.planning.Unlock()
	p, err := s.tracker.planOf(q, time.Now(), s.prepareQuery)
	if err != nil {
		// Reading it says so, and asks no server.
		return ""
	}
	if p.shard.of != m {
		p.shard = shardName{name: s.name(m, p), of: m}
	}
	return p.shard.name
}

func (s *shardedSource) name(m slotMap, p *plan) string {
	addresses, err := m.Owners(p.keys)
	if err != nil {
		return ""
	}
	name := strings.Join(addresses, "+")
	if len(addresses) < 2 {
		return name
	}
	if s.of != m {
		s.of, s.combinations = m, make(map[string]struct{})
	}
	if _, known := s.combinations[name]; !known && len(s.combinations) >= maxCombinations {
		return sharedShard
	}
	s.combinations[name] = struct{}{}
	return name
}

// ReadShard implements backlog.Sharded.
func (s *shardedSource) ReadShard(ctx context.Context, _ string, queries []backlog.Query, results []backlog.Result) []backlog.Result {
	r, used := s.readers.Get().(*reader)
	if !used {
		r = &reader{source: s.source}
	}
	defer s.readers.Put(r)
	return r.Read(ctx, queries, results)
}
