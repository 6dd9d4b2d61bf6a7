package sampler

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// A readFunc is Read of a source, or ReadShard of one of its shards.
type readFunc func(context.Context, []backlog.Query) []backlog.Result

// readContained reads, where a panic of the engine is the error of the query that
// causes it and of no other: a batch that panics is read in halves.
func readRecovering(ctx context.Context, read readFunc, queries []backlog.Query) []backlog.Result {
	results, err := tryRead(ctx, read, queries)
	if !errors.Is(err, backlog.ErrPanic) {
		return results
	}
	if len(queries) == 1 {
		return []backlog.Result{{Err: fmt.Errorf("read %s %q: %w: %w", queries[0].Layout, queries[0].Queue, backlog.ErrUnavailable, err)}}
	}
	half := len(queries) / 2
	// The results of a Read last until the next one.
	results = append([]backlog.Result(nil), readRecovering(ctx, read, queries[:half])...)
	return append(results, readRecovering(ctx, read, queries[half:])...)
}

func tryRead(ctx context.Context, read readFunc, queries []backlog.Query) (results []backlog.Result, err error) {
	defer backlog.Contain(&err)
	return read(ctx, queries), nil
}

// confirmContained is Confirm, where a panic of the engine is an error.
func confirmRecovering(ctx context.Context, source backlog.Confirmer) (until time.Time, err error) {
	defer backlog.Contain(&err)
	return source.Confirm(ctx)
}
