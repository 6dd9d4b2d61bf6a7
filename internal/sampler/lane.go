package sampler

import (
	"context"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// A lane is a shard that is being read, by a goroutine of its own. The link's mu guards it.
type lane struct {
	// waiting are watches that fell due meanwhile; they are read next, in one batch.
	waiting []*watch
	// began is when the present read began.
	began time.Time
}

// spread has a batch read, each shard by itself: one that is silent delays no other. It does
// not wait. What is of a shard that is being read is read after that.
func (l *link) spread(ctx context.Context, source backlog.Sharded, batch []*watch) {
	shards := make(map[string][]*watch)
	for _, w := range batch {
		name := source.Shard(w.query)
		shards[name] = append(shards[name], w)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, some := range shards {
		if busy := l.lanes[name]; busy != nil {
			busy.waiting = append(busy.waiting, some...)
			continue
		}
		l.lanes[name] = &lane{waiting: some}
		l.stopped.Go(func() { l.runLane(ctx, source, name) })
	}
}

// runLane reads a shard until nothing of it is waiting.
func (l *link) runLane(ctx context.Context, source backlog.Sharded, name string) {
	read := func(ctx context.Context, queries []backlog.Query) []backlog.Result {
		return source.ReadShard(ctx, name, queries)
	}
	for batch := l.next(name); len(batch) > 0; batch = l.next(name) {
		l.read(ctx, read, batch)
		l.pokeLoop()
	}
}

// next returns what is to be read next of a shard. If that is nothing its lane has ended.
func (l *link) next(name string) []*watch {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	lane := l.lanes[name]
	if len(lane.waiting) == 0 {
		delete(l.lanes, name)
		return nil
	}
	n := min(len(lane.waiting), maxBatch)
	batch := lane.waiting[:n:n]
	lane.waiting, lane.began = lane.waiting[n:], now
	for _, w := range batch {
		// What came while it was waiting is in this read.
		w.read, w.changed = now, ""
	}
	return batch
}

// oldest returns when the loop, or the reading of a shard, made progress last.
func (l *link) oldest() time.Time {
	beat := time.Unix(0, l.beat.Load())
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, lane := range l.lanes {
		if !lane.began.IsZero() && lane.began.Before(beat) {
			beat = lane.began
		}
	}
	return beat
}
