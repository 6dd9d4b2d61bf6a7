package sidekiq_test

import (
	"fmt"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// TestPatternFindsWhatIsFarAhead: a delayed job that is not among the first ones is found in time.
func TestPatternFindsWhatIsFarAhead(t *testing.T) {
	t.Parallel()
	layouttest.PatternFindsWhatIsFarAhead(t, "sidekiq", func(server *redistest.Server, queue string, at int64) {
		for i := range 100 {
			server.Do("ZADD", "schedule", at, fmt.Sprintf(`{"queue":%q,"jid":"%d"}`, queue, i))
		}
	})
}
