package beequeue_test

import (
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/beequeue"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
)

// TestBeequeueStuckWork: work that nothing moves is not exact once that has lasted.
func TestBeequeueStuckWork(t *testing.T) {
	t.Parallel()
	layouttest.StuckWork(t, beequeue.Layout(), map[string]layouttest.StuckCase{
		"Bee-Queue without activateDelayedJobs": {
			Grace: layout.StuckGrace,
			Stick: [][]any{{"ZADD", "bq:q:delayed", 1000, "1"}, {"HSET", "bq:q:jobs", "1", "{}"}},
			Move:  [][]any{{"LPUSH", "bq:q:waiting", "1"}, {"DEL", "bq:q:delayed"}},
			Stuck: layouttest.StuckFigures{Due: 1, Orphaned: 1}, Moved: layouttest.StuckFigures{Ready: 1},
			Warning: "no worker raises them",
		},
	})
}
