package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

const (
	// maxCombinations is how many combinations of servers have a shard of their own, because
	// the keys of a query lie on several. Those beyond share one.
	maxCombinations = 32
	// restShard is the name of that one.
	restShard = "*"
)

// A shardName is the shard of a query in one state of the topology.
type shardName struct {
	name string
	of   *routing
}

// A shardedSource is the source of a cluster. It implements backlog.Sharded: a server that
// is silent keeps no query waiting whose keys lie elsewhere.
type shardedSource struct {
	*source

	// readers are used again by ReadShard.
	readers sync.Pool

	// The watchlist's planning guards what follows: the names of shards of several servers,
	// and the state of the topology that they belong to.
	combinations map[string]struct{}
	of           *routing
}

// Shard implements backlog.Sharded. The name is that of the servers that own the keys; empty
// where that is not known.
func (s *shardedSource) Shard(q backlog.Query) string {
	r := s.topology.now.Load()
	if r == nil {
		return ""
	}
	s.watch.planning.Lock()
	defer s.watch.planning.Unlock()
	p, err := s.watch.find(q, time.Now(), s.prepareQuery)
	if err != nil {
		// Reading it says so, and asks no server.
		return ""
	}
	if p.shard.of != r {
		p.shard = shardName{name: s.name(r, p), of: r}
	}
	return p.shard.name
}

func (s *shardedSource) name(r *routing, p *plan) string {
	addresses, err := r.owners(p.keys)
	if err != nil {
		return ""
	}
	name := strings.Join(addresses, "+")
	if len(addresses) < 2 {
		return name
	}
	if s.of != r {
		s.of, s.combinations = r, make(map[string]struct{})
	}
	if _, known := s.combinations[name]; !known && len(s.combinations) >= maxCombinations {
		return restShard
	}
	s.combinations[name] = struct{}{}
	return name
}

// owners returns the addresses of the servers that own some keys, in order.
func (r *routing) owners(keys []string) ([]string, error) {
	var addresses []string
	for _, key := range keys {
		n, err := r.node(key)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(addresses, n.address) {
			addresses = append(addresses, n.address)
		}
	}
	slices.Sort(addresses)
	return addresses, nil
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

// Confirm implements backlog.Confirmer. A server of the cluster confirms what was read from
// it if it also says that it owns exactly the slots for which it was read: what is armed on
// a server is worth nothing once another one has the slot.
func (s *shardedSource) Confirm(ctx context.Context) (time.Time, error) {
	began := time.Now()
	r, err := s.topology.refresh(ctx)
	if err != nil {
		return time.Time{}, fmt.Errorf("confirm connection %q: %w", s.cfg.connection, s.cfg.advised(err, s.record()))
	}
	silent := make(map[string]error)
	var mu sync.Mutex
	var asking sync.WaitGroup
	for _, n := range r.nodes {
		asking.Go(func() {
			if err := n.confirmOwned(ctx, r.owned(n.address)); err != nil {
				mu.Lock()
				defer mu.Unlock()
				silent[n.address] = err
			}
		})
	}
	asking.Wait()
	unsearched, searches := s.finder.failing()
	if len(silent) == 0 && searches == nil {
		return began, nil
	}
	unsupported := len(silent) > 0
	var faults []error
	for _, err := range silent {
		unsupported = unsupported && errors.Is(err, errors.ErrUnsupported)
		faults = append(faults, err)
	}
	if len(silent) == len(r.nodes) {
		if unsupported {
			return time.Time{}, errors.ErrUnsupported
		}
		return time.Time{}, fmt.Errorf("confirm connection %q: %w", s.cfg.connection, s.cfg.advised(errors.Join(faults...), s.record()))
	}
	return began, &backlog.PartlyConfirmedError{
		Err:         fmt.Errorf("confirm connection %q: %w", s.cfg.connection, errors.Join(append(faults, searches)...)),
		Unconfirmed: func(q backlog.Query) bool { return unsearched[q] || s.lies(q, r, silent) },
	}
}

// lies reports whether a key of a query lies on one of some servers, or on none that is known.
func (s *shardedSource) lies(q backlog.Query, r *routing, on map[string]error) bool {
	s.watch.planning.Lock()
	defer s.watch.planning.Unlock()
	p, known := s.watch.plans[q]
	if !known {
		return true
	}
	addresses, err := r.owners(p.keys)
	return err != nil || slices.ContainsFunc(addresses, func(address string) bool { return on[address] != nil })
}

// owned returns the slots for which the server at an address is read.
func (r *routing) owned(address string) []slotRange {
	var ranges []slotRange
	for _, s := range r.shards {
		if s.address == address {
			ranges = append(ranges, slotRange{s.from, s.to})
		}
	}
	return ranges
}

// confirmOwned does what confirm does, for a server that has to own some slots. One that does
// not allow the question confirms nothing.
func (n *node) confirmOwned(ctx context.Context, want []slotRange) error {
	replies, err := n.do(ctx, []command{{args: []any{"CLUSTER", "NODES"}}}, nil)
	if err != nil {
		return err
	}
	switch {
	case replies[0].err != nil && denies(serverText(replies[0].err)):
		return errors.ErrUnsupported
	case replies[0].err != nil:
		return replies[0].err
	}
	if err := checkOwner(text(replies[0].value), want); err != nil {
		return err
	}
	return n.confirm(ctx)
}

// failing returns which queries depend on searches that fail, and why one of these does.
func (f *finder) failing() (queries map[backlog.Query]bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	queries = make(map[backlog.Query]bool)
	for _, found := range f.searches {
		if found.hint || found.err == nil {
			continue
		}
		err = found.err
		for q := range found.queries {
			queries[q] = true
		}
	}
	return queries, err
}
