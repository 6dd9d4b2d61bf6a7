package redis

import (
	"context"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/conn"
)

const (
	// maxCombinations is how many combinations of servers have a shard of their own, because
	// the keys of a query lie on several. Those beyond share one.
	maxCombinations = 32
	// sharedShard is the name of that one.
	sharedShard = "*"
	// manyQueues is from how many queues on a query is read apart from those of other namespaces,
	// and in pieces.
	manyQueues = 500
	// manyShard separates, in the name of a shard, its servers from the namespace of such queries.
	manyShard = " many queues of "
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

// Shard implements backlog.Sharded. In a cluster the name is that of the servers that own the keys;
// empty where that is not known. A query of many queues is read apart: a namespace keeps no other one
// waiting.
func (s *source) Shard(q backlog.Query) string {
	cluster := s.cfg.Mode == conn.ModeCluster
	if !cluster && q.Namespace == "" {
		return ""
	}
	var m slotMap
	if known := s.topology.Known(); cluster && known != nil {
		m = known
	}
	return s.shardIn(m, q)
}

// shardIn returns the shard of a query in one state of the topology, which is nil where the servers
// are of no interest.
func (s *source) shardIn(m slotMap, q backlog.Query) string {
	s.tracker.planning.Lock()
	defer s.tracker.planning.Unlock()
	p, err := s.tracker.planOf(q, time.Now(), s.prepareQuery)
	if err != nil {
		// Reading it says so, and asks no server.
		return ""
	}
	if m != nil && p.shard.of != m {
		p.shard = shardName{name: s.serversOf(m, p), of: m}
	}
	name := ""
	if m != nil {
		name = p.shard.name
	}
	if p.hasMany() {
		name += manyShard + q.Namespace
	}
	return name
}

// hasMany reports whether the query was of many queues when it was read last. The plan is not being
// read.
func (p *plan) hasMany() bool {
	several, is := p.first.(*multiQueue)
	return is && len(several.order) >= manyQueues
}

// serversOf returns the name of the servers that own the keys of a plan. planning is held.
func (s *source) serversOf(m slotMap, p *plan) string {
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
func (s *source) ReadShard(ctx context.Context, shard string, queries []backlog.Query, results []backlog.Result) []backlog.Result {
	r, used := s.readers.Get().(*reader)
	if !used {
		r = &reader{source: s}
	}
	defer s.readers.Put(r)
	r.inPieces = strings.Contains(shard, manyShard)
	return r.Read(ctx, queries, results)
}
