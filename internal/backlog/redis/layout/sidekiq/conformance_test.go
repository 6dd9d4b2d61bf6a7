package sidekiq_test

import (
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
)

// TestConformance holds the layout to the suite of engines, on each server.
func TestConformance(t *testing.T) {
	t.Parallel()
	layouttest.Conformance(t, layouttest.ConformanceCase{
		// Each job has a process of its own. Two heartbeats later it no longer reports the job.
		Layout: "sidekiq", Corrupt: "queue:QUEUE", EmptyExists: true,
		Add: []string{"SADD queues QUEUE", `LPUSH queue:QUEUE {"queue":"QUEUE"}`},
		Take: []string{
			"RPOP queue:QUEUE", `HSET JOB:QUEUE:work thread {"queue":"QUEUE"}`, "SADD processes JOB:QUEUE",
			`HSET JOB:QUEUE info {"queues":["QUEUE"]} beat 1700000000.5`,
		},
		Ack: []string{"DEL JOB:QUEUE:work", "HSET JOB:QUEUE beat 1700000020.75"},
	})
}

// TestUnknown: what makes no sense is never nothing.
func TestUnknown(t *testing.T) {
	t.Parallel()
	layouttest.CheckUnknown(t, map[string]layouttest.UnknownCase{
		"schedule": {
			Query: layouttest.Query("sidekiq", "q"),
			Keys:  []string{"ZADD schedule 1700000000 nonsense"},
			Want:  backlog.Reading{Due: 1, InFlight: backlog.Exactly(0), Consumers: backlog.Exactly(0), Quality: backlog.LowerBound},
		},
		"work": {
			Query: layouttest.Query("sidekiq", "q"),
			Keys:  []string{"SADD processes p", "HSET p:work thread nonsense"},
			Want:  backlog.Reading{InFlight: backlog.Exactly(1), Consumers: backlog.Exactly(0), Quality: backlog.LowerBound},
		},
		"job": {
			Query: layouttest.Query("sidekiq", "q", "age", "payload", "fetch", "basic"),
			Keys:  []string{"LPUSH queue:q nonsense"},
			Want:  backlog.Reading{Ready: 1, InFlight: backlog.Exactly(0), Consumers: backlog.Exactly(0)},
		},
		"process": {
			Query: layouttest.Query("sidekiq", "q", "fetch", "basic"),
			Keys:  []string{"SADD queues q", "SADD processes p", "HSET p info nonsense beat 1700000000.5"},
			Want:  backlog.Reading{InFlight: backlog.Exactly(0), Consumers: backlog.Exactly(1)},
		},
	})
}

// TestDenied: without the rights of job frameworks there is no reading of what needs them.
func TestDenied(t *testing.T) {
	t.Parallel()
	layouttest.CheckDenied(t, layouttest.DeniedCase{
		Add:    "LPUSH queue:q 1",
		Denied: layouttest.Query("sidekiq", "q"),
	})
}
