package backlogtest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// Shard makes the sources that are opened from now on have shards, named by of.
func (f *Fake) Shard(of func(backlog.Query) string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.shard = of
}

// FreezeShard makes reads and confirmations of one shard hang until ThawShard or the end of
// their context.
func (f *Fake) FreezeShard(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.frozenShards[name] = make(chan struct{})
}

// ThawShard ends FreezeShard.
func (f *Fake) ThawShard(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.frozenShards[name])
	delete(f.frozenShards, name)
}

// A shardedFake is a connection to a Fake whose queues lie on several servers.
type shardedFake struct {
	*fakeSource

	shard func(backlog.Query) string
}

// Shard implements backlog.Sharded.
func (s *shardedFake) Shard(q backlog.Query) string { return s.shard(q) }

// ReadShard implements backlog.Sharded.
func (s *shardedFake) ReadShard(ctx context.Context, name string, queries []backlog.Query, results []backlog.Result) []backlog.Result {
	if err := s.fake.thawedShard(ctx, name); err != nil {
		return appendErrors(results, len(queries), err)
	}
	return s.Read(ctx, queries, results)
}

func (f *Fake) thawedShard(ctx context.Context, name string) error {
	f.mu.Lock()
	frozen := f.frozenShards[name]
	f.mu.Unlock()
	if frozen == nil {
		return nil
	}
	select {
	case <-frozen:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("shard %q: %w: %w", name, backlog.ErrUnavailable, ctx.Err())
	}
}

// Confirm implements backlog.Confirmer.
func (s *shardedFake) Confirm(ctx context.Context) (time.Time, error) {
	until, err := s.fakeSource.Confirm(ctx)
	if err != nil {
		return until, err
	}
	s.fake.mu.Lock()
	names := make([]string, 0, len(s.fake.frozenShards))
	for name := range s.fake.frozenShards {
		names = append(names, name)
	}
	s.fake.mu.Unlock()
	silent := make(map[string]bool)
	var faults []error
	for _, name := range names {
		if err := s.fake.thawedShard(ctx, name); err != nil {
			silent[name], faults = true, append(faults, err)
		}
	}
	if len(faults) == 0 {
		return until, nil
	}
	return until, &backlog.PartlyConfirmedError{Err: errors.Join(faults...), Unconfirmed: func(q backlog.Query) bool { return silent[s.shard(q)] }}
}
