package redis_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
)

// TestPythonBounds: what is kept for all queues together is looked at up to a limit, and
// beyond it a reading is no zero.
func TestPythonBounds(t *testing.T) {
	t.Parallel()
	many := func(command string, n int) string {
		words := []string{command}
		for i := range n {
			words = append(words, "RECENT", strconv.Itoa(i))
		}
		return strings.Join(words, " ")
	}
	limits := []string{"SADD rq:queues rq:queue:mail"}
	for i := range 30 {
		limits = append(limits, fmt.Sprintf("SADD rq:rl-keys %d", i), many(fmt.Sprintf("ZADD rq:rl:%d:rate_limited", i), 5))
	}
	processes := many("ZADD dramatiq:__heartbeats__", 300)
	atLeastOne := layouttest.Figures{Due: 1, InFlight: backlog.Exactly(0), Quality: backlog.LowerBound}
	layouttest.ReadKeys(t, layouttest.Query("rq", "mail"), map[string]layouttest.KeysCase{
		"due jobs of rq-scheduler": {Keys: []string{many("ZADD rq:scheduler:scheduled_jobs", 150)}, Want: atLeastOne, Warning: []string{"rq-scheduler"}},
		"rate limits of RQ":        {Keys: limits, Want: atLeastOne, Warning: []string{"rate limits"}},
		"processes of Dramatiq": {
			Keys: []string{processes, "HSET dramatiq:mail.msgs a {}"}, Query: layouttest.Query("dramatiq", "mail"), Want: layouttest.Figures{InFlight: backlog.Exactly(1)},
		},
	})
}
