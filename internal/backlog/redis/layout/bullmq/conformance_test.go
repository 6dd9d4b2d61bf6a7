package bullmq_test

import (
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
)

// TestConformance holds the layout to the suite of engines, on each server.
func TestConformance(t *testing.T) {
	t.Parallel()
	layouttest.Conformance(t, layouttest.ConformanceCase{
		// Keys as they must be in a cluster.
		Layout: "bullmq", Params: []string{"prefix", "{bull}"}, Corrupt: "{bull}:QUEUE:active",
		Add:  []string{"LPUSH {bull}:QUEUE:wait JOB"},
		Take: []string{"RPOPLPUSH {bull}:QUEUE:wait {bull}:QUEUE:active"},
		Ack:  []string{"RPOP {bull}:QUEUE:active"},
	})
}

// TestUnknown: what makes no sense is never nothing.
func TestUnknown(t *testing.T) {
	t.Parallel()
	layouttest.CheckUnknown(t, map[string]layouttest.UnknownCase{
		"concurrency": {
			Query: layouttest.Query("bullmq", "q"),
			Keys:  []string{"HSET bull:q:meta concurrency many"},
			Err:   backlog.ErrPartial,
		},
		"timestamp": {
			Query: layouttest.Query("bullmq", "q", "age", "payload"),
			Keys:  []string{"LPUSH bull:q:wait 1", "HSET bull:q:1 timestamp today"},
			Err:   backlog.ErrPartial,
		},
	})
}

// TestDenied: without the rights of job frameworks there is no reading of what needs them.
func TestDenied(t *testing.T) {
	t.Parallel()
	layouttest.CheckDenied(t, layouttest.DeniedCase{
		Add:    "LPUSH bull:q:wait 1",
		Denied: layouttest.Query("bullmq", "q"),
	})
}
