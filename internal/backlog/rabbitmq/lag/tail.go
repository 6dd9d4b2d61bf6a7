package lag

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq/stream"
)

const (
	// chunkRate and chunkBurst bound what a source receives of chunks, in bytes in a second and at once:
	// the messages come along with the number of them.
	chunkRate  = 32 << 20
	chunkBurst = 64 << 20
	// chunkGuess is the size of a chunk that is not known.
	chunkGuess = 64 << 10
)

// A chunkBudget bounds the chunks that are received. Several goroutines may use it.
type chunkBudget struct {
	mu sync.Mutex
	// left is what may be received at the time at; it may be below zero.
	left float64
	at   time.Time
}

// take reports whether one more chunk may be received. last is that before it in the stream, nil if there is
// none.
func (b *chunkBudget) take(last *tail, now time.Time) bool {
	size := int64(chunkGuess)
	if last != nil && last.chunk.Bytes > 0 {
		size = last.chunk.Bytes
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.at.IsZero() {
		b.left, b.at = chunkBurst, now
	}
	if passed := now.Sub(b.at); passed > 0 {
		b.left, b.at = min(chunkBurst, b.left+passed.Seconds()*chunkRate), now
	}
	if b.left <= 0 {
		return false
	}
	b.left -= float64(size)
	return true
}

// A tailSearch asks for the last chunk with messages of a stream.
type tailSearch struct {
	job *job
	// needed reports that a number without the chunk would be wrong.
	needed bool
	// last is the chunk, and after are the bounds of the stream after it.
	last  stream.ChunkQuery
	after stream.StatsQuery
	// at is the chunk at the bound, where the last one was not there yet for a majority of the members.
	at stream.ChunkQuery
}

func newTailSearch(j *job, needed bool) *tailSearch {
	return &tailSearch{
		job: j, needed: needed, last: stream.ChunkQuery{Stream: j.name, From: stream.None}, after: stream.StatsQuery{Stream: j.name},
		at: stream.ChunkQuery{Stream: j.name, From: j.stats.Committed},
	}
}

// searchTails asks for last chunks.
func (s *Streams) searchTails(ctx context.Context, node *node, searches []*tailSearch) error {
	requests := make([]stream.Request, 0, 2*len(searches))
	for _, t := range searches {
		requests = append(requests, &t.last, &t.after)
	}
	if err := node.conn.Do(ctx, s.cfg.Answer, requests...); err != nil {
		return fmt.Errorf("%w: ask for the last chunks of streams: %w", backlog.ErrUnavailable, err)
	}
	requests = requests[:0]
	for _, t := range searches {
		if !t.finish() {
			requests = append(requests, &t.at)
		}
	}
	if err := node.conn.Do(ctx, s.cfg.Answer, requests...); err != nil {
		return fmt.Errorf("%w: ask for the last chunks of streams: %w", backlog.ErrUnavailable, err)
	}
	for _, t := range searches {
		t.finishAt()
	}
	return nil
}

// finish concludes from the first answers, and reports whether they suffice.
func (t *tailSearch) finish() bool {
	j := t.job
	if j.err = codeError(t.last.Code); j.err == nil {
		j.err = codeError(t.after.Code)
	}
	before, after := &j.stats, &t.after
	switch {
	case j.err != nil:
		return true
	case t.last.Chunk != nil:
		j.tail = &tail{committed: max(before.Committed, t.last.Chunk.First), chunk: *t.last.Chunk}
		return true
	case before.Last == before.Committed && after.Last == before.Last && after.Committed == before.Committed:
		// Nothing was written meanwhile and all is committed, so that no chunk has messages.
		j.tail = &tail{committed: before.Committed, none: true}
		return true
	default:
		return false
	}
}

// finishAt concludes from the chunk at the bound: if it has messages it is the last one that had, at the
// time of the bound, or a later one.
func (t *tailSearch) finishAt() {
	j := t.job
	if j.err != nil || j.tail != nil {
		return
	}
	switch j.err = codeError(t.at.Code); {
	case j.err != nil:
	case t.at.Chunk != nil && t.at.Chunk.First >= j.stats.Committed:
		j.tail = &tail{committed: t.at.Chunk.First, chunk: *t.at.Chunk}
	case t.needed:
		j.err = fmt.Errorf("%w: the last messages of the stream are being written", backlog.ErrUnavailable)
	}
}
