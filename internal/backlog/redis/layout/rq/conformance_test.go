package rq_test

import (
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
)

// TestConformance holds the layout to the suite of engines, on each server.
func TestConformance(t *testing.T) {
	t.Parallel()
	layouttest.Conformance(t, layouttest.ConformanceCase{
		Layout: "rq", Corrupt: "rq:wip:QUEUE",
		Add:  []string{"RPUSH rq:queue:QUEUE JOB"},
		Take: []string{"LPOP rq:queue:QUEUE", "ZADD rq:wip:QUEUE +inf JOB"},
		Ack:  []string{"ZREM rq:wip:QUEUE JOB"},
	})
}
