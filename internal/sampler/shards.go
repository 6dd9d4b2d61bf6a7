package sampler

import (
	"context"
	"slices"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// A shardReader is a goroutine that reads one shard. The loop's mu guards its fields.
type shardReader struct {
	// pending are watches that fell due during the present read. They are read next, those first
	// that are due first: as in the schedule, woken ones come before the others.
	pending []*watch
	// readStarted is when the present read began.
	readStarted time.Time
}

// readShards starts the reads of a batch, each shard by itself, and does not wait. A watch of a
// shard that is being read is read after that. A shard that does not answer delays no other.
func (l *connectionLoop) readShards(ctx context.Context, source backlog.Sharded, batch []*watch) {
	shards := make(map[string][]*watch)
	for _, w := range batch {
		name := source.Shard(w.query)
		shards[name] = append(shards[name], w)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, some := range shards {
		if busy := l.shardReaders[name]; busy != nil {
			busy.pending = append(busy.pending, some...)
			continue
		}
		l.shardReaders[name] = &shardReader{pending: some}
		l.goroutines.Go(func() { l.readShard(ctx, source, name) })
	}
}

// readShard reads a shard until none of its watches is pending.
func (l *connectionLoop) readShard(ctx context.Context, source backlog.Sharded, name string) {
	reader := batchReader{read: func(ctx context.Context, queries []backlog.Query, results []backlog.Result) []backlog.Result {
		return source.ReadShard(ctx, name, queries, results)
	}}
	for batch := l.nextShardBatch(name); len(batch) > 0; batch = l.nextShardBatch(name) {
		l.read(ctx, &reader, batch)
		l.wakeLoop()
	}
}

// nextShardBatch returns the next batch of a shard. An empty batch ends its shardReader.
func (l *connectionLoop) nextShardBatch(name string) []*watch {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	reader := l.shardReaders[name]
	if len(reader.pending) == 0 {
		delete(l.shardReaders, name)
		return nil
	}
	if len(reader.pending) > maxBatch {
		slices.SortFunc(reader.pending, compareDue)
	}
	n := min(len(reader.pending), maxBatch)
	batch := reader.pending[:n:n]
	reader.pending, reader.readStarted = reader.pending[n:], now
	for _, w := range batch {
		// It covers wake-ups and calls that came while the watch was pending.
		w.beginRead(now)
	}
	return batch
}

// oldestProgress returns when the loop, or the slowest shardReader, last made progress.
func (l *connectionLoop) oldestProgress() time.Time {
	oldest := time.Unix(0, l.lastProgress.Load())
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, reader := range l.shardReaders {
		if !reader.readStarted.IsZero() && reader.readStarted.Before(oldest) {
			oldest = reader.readStarted
		}
	}
	return oldest
}
