package sampler

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// A readFunc is Source.Read, or Sharded.ReadShard of one shard.
type readFunc func(context.Context, []backlog.Query, []backlog.Result) []backlog.Result

// readRecovering reads queries and appends their results. A panic of the engine becomes the
// error of the query that causes it and of no other: a batch that panics is read in halves.
func readRecovering(ctx context.Context, read readFunc, queries []backlog.Query, results []backlog.Result) []backlog.Result {
	all, err := tryRead(ctx, read, queries, results)
	if !errors.Is(err, backlog.ErrPanic) {
		return all
	}
	if len(queries) == 1 {
		err = fmt.Errorf("read %s %q: %w: %w", queries[0].Layout, queries[0].Queue, backlog.ErrUnavailable, err)
		return append(results, backlog.Result{Err: err})
	}
	half := len(queries) / 2
	results = readRecovering(ctx, read, queries[:half], results)
	return readRecovering(ctx, read, queries[half:], results)
}

func tryRead(ctx context.Context, read readFunc, queries []backlog.Query, results []backlog.Result) (all []backlog.Result, err error) {
	defer backlog.Contain(&err)
	return read(ctx, queries, results), nil
}

// confirmRecovering calls Confirm. A panic of the engine becomes an error.
func confirmRecovering(ctx context.Context, source backlog.Confirmer) (until time.Time, err error) {
	defer backlog.Contain(&err)
	return source.Confirm(ctx)
}
