package arq_test

import (
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
)

// TestConformance holds the layout to the suite of engines, on each server.
func TestConformance(t *testing.T) {
	t.Parallel()
	layouttest.Conformance(t, layouttest.ConformanceCase{
		Layout: "arq", Corrupt: "QUEUE",
		Add:  []string{"ZADD QUEUE 1700000000000 JOB"},
		Take: []string{"SET arq:in-progress:JOB 1"},
		Ack:  []string{"ZREM QUEUE JOB", "DEL arq:in-progress:JOB"},
	})
}
