package resque_test

import (
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
)

// TestConformance holds the layout to the suite of engines, on each server.
func TestConformance(t *testing.T) {
	t.Parallel()
	layouttest.Conformance(t, layouttest.ConformanceCase{
		// Each job has a worker of its own.
		Layout: "resque", Corrupt: "resque:queue:QUEUE", EmptyExists: true,
		Add:  []string{"SADD resque:queues QUEUE", `RPUSH resque:queue:QUEUE {"class":"Job","args":[]}`},
		Take: []string{"SADD resque:workers JOB:QUEUE", "LPOP resque:queue:QUEUE", `SET resque:worker:JOB:QUEUE {"queue":"QUEUE","payload":{}}`},
		Ack:  []string{"DEL resque:worker:JOB:QUEUE"},
	})
}

// TestUnknown: what makes no sense is never nothing.
func TestUnknown(t *testing.T) {
	t.Parallel()
	layouttest.CheckUnknown(t, map[string]layouttest.UnknownCase{
		"delayed": {
			Query: layouttest.Query("resque", "q"),
			Keys:  []string{"ZADD resque:delayed_queue_schedule 1700000000 1700000000", "RPUSH resque:delayed:1700000000 nonsense"},
			Want:  backlog.Reading{Due: 1, InFlight: backlog.Exactly(0), Quality: backlog.LowerBound},
		},
		"worker": {
			Query: layouttest.Query("resque", "q"),
			Keys:  []string{"SADD resque:workers w", "SET resque:worker:w nonsense"},
			Want:  backlog.Reading{InFlight: backlog.Exactly(1), Quality: backlog.LowerBound},
		},
	})
}

// TestDenied: without the rights of job frameworks there is no reading of what needs them.
func TestDenied(t *testing.T) {
	t.Parallel()
	layouttest.CheckDenied(t, layouttest.DeniedCase{
		Add:    "RPUSH resque:queue:q 1",
		Denied: layouttest.Query("resque", "q"),
	})
}
