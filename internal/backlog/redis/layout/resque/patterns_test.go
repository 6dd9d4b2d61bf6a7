package resque_test

import (
	"fmt"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// TestPatternFindsWhatIsFarAhead: a delayed job that is not among the first ones is found in time.
func TestPatternFindsWhatIsFarAhead(t *testing.T) {
	t.Parallel()
	layouttest.PatternFindsWhatIsFarAhead(t, "resque", func(server *redistest.Server, queue string, at int64) {
		server.Do("RPUSH", fmt.Sprintf("resque:delayed:%d", at), fmt.Sprintf(`{"queue":%q}`, queue))
		server.Do("ZADD", "resque:delayed_queue_schedule", at, at)
	})
}
