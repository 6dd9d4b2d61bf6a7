package laravel_test

import (
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/laravel"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
)

// TestLaravelStuckWork: work that nothing moves is not exact once that has lasted.
func TestLaravelStuckWork(t *testing.T) {
	t.Parallel()
	layouttest.StuckWork(t, laravel.Layout(), map[string]layouttest.StuckCase{
		"Laravel without retry_after": {
			Grace: layout.StuckGrace,
			Stick: [][]any{{"ZADD", "queues:q:reserved", 1000, "job"}},
			Move:  [][]any{{"RPUSH", "queues:q", "other"}},
			Stuck: layouttest.StuckFigures{Due: 1, Orphaned: 1}, Moved: layouttest.StuckFigures{Ready: 1, Due: 1},
			Warning: "no worker takes them back",
		},
	})
}
