package dramatiq_test

import (
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
)

// TestConformance holds the layout to the suite of engines, on each server.
func TestConformance(t *testing.T) {
	t.Parallel()
	layouttest.Conformance(t, layouttest.ConformanceCase{
		Layout: "dramatiq", Corrupt: "dramatiq:QUEUE.msgs",
		Add:  []string{"HSET dramatiq:QUEUE.msgs JOB {}", "RPUSH dramatiq:QUEUE JOB"},
		Take: []string{"LPOP dramatiq:QUEUE"},
		Ack:  []string{"HDEL dramatiq:QUEUE.msgs JOB"},
	})
}
