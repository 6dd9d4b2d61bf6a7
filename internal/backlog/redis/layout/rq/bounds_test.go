package rq_test

import (
	"fmt"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
)

// TestRQBounds: what is kept for all queues together is looked at up to a limit, and beyond it
// a reading is no zero.
func TestRQBounds(t *testing.T) {
	t.Parallel()
	limits := []string{"SADD rq:queues rq:queue:mail"}
	for i := range 30 {
		limits = append(limits, fmt.Sprintf("SADD rq:rl-keys %d", i), layouttest.AddRecent(fmt.Sprintf("rq:rl:%d:rate_limited", i), 5))
	}
	atLeastOne := layouttest.Figures{Due: 1, InFlight: backlog.Exactly(0), Quality: backlog.LowerBound}
	layouttest.ReadKeys(t, layouttest.Query("rq", "mail"), map[string]layouttest.KeysCase{
		"due jobs of rq-scheduler": {Keys: []string{layouttest.AddRecent("rq:scheduler:scheduled_jobs", 150)}, Want: atLeastOne, Warning: []string{"rq-scheduler"}},
		"rate limits":              {Keys: limits, Want: atLeastOne, Warning: []string{"rate limits"}},
	})
}
