package celery_test

import (
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
)

// TestConformance holds the layout to the suite of engines, on each server.
func TestConformance(t *testing.T) {
	t.Parallel()
	layouttest.Conformance(t, layouttest.ConformanceCase{
		// Before Redis 6.2 nothing says whose an unacknowledged message is, so each queue has a
		// hash of its own.
		Layout: "celery", Params: []string{"unackedKey", "QUEUE:unacked"}, Corrupt: "QUEUE\x06\x163",
		Add:  []string{"LPUSH QUEUE JOB"},
		Take: []string{"RPOP QUEUE", `HSET QUEUE:unacked JOB [{},"","QUEUE"]`},
		Ack:  []string{"HDEL QUEUE:unacked JOB"},
	})
}
