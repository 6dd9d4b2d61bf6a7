package taskiq_test

import (
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
)

// TestConformance holds the layout to the suite of engines, on each server.
func TestConformance(t *testing.T) {
	t.Parallel()
	layouttest.Conformance(t, layouttest.ConformanceCase{
		Layout: "taskiq", Params: []string{"broker", "list"}, Corrupt: "QUEUE",
		Add: []string{"LPUSH QUEUE JOB"},
		Ack: []string{"RPOP QUEUE"},
	})
}
