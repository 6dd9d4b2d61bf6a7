package sampler

import (
	"context"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// A lane is a shard that is being read, by a goroutine of its own. The link's mu guards it.
type shardReader struct {
	// waiting are watches that fell due meanwhile; they are read next, in one batch.
	pending []*watch
	// began is when the present read began.
	readStarted time.Time
}

// spread has a batch read, each shard by itself: one that is silent delays no other. It does
// not wait. What is of a shard that is being read is read after that.
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

// runLane reads a shard until nothing of it is waiting.
func (l *connectionLoop) readShard(ctx context.Context, source backlog.Sharded, name string) {
	read := func(ctx context.Context, queries []backlog.Query) []backlog.Result {
		return source.ReadShard(ctx, name, queries)
	}
	for batch := l.nextShardBatch(name); len(batch) > 0; batch = l.nextShardBatch(name) {
		l.read(ctx, read, batch)
		l.wakeLoop()
	}
}

// next returns what is to be read next of a shard. If that is nothing its lane has ended.
func (l *connectionLoop) nextShardBatch(name string) []*watch {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	lane := l.shardReaders[name]
	if len(lane.pending) == 0 {
		delete(l.shardReaders, name)
		return nil
	}
	n := min(len(lane.pending), maxBatch)
	batch := lane.pending[:n:n]
	lane.pending, lane.readStarted = lane.pending[n:], now
	for _, w := range batch {
		// What came while it was waiting is in this read.
		w.lastRead, w.pendingCause = now, ""
	}
	return batch
}

// oldest returns when the loop, or the reading of a shard, made progress last.
func (l *connectionLoop) oldestProgress() time.Time {
	beat := time.Unix(0, l.lastProgress.Load())
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, lane := range l.shardReaders {
		if !lane.readStarted.IsZero() && lane.readStarted.Before(beat) {
			beat = lane.readStarted
		}
	}
	return beat
}
