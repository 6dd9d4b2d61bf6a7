package asynq_test

import (
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
)

// TestConformance holds the layout to the suite of engines, on each server.
func TestConformance(t *testing.T) {
	t.Parallel()
	layouttest.Conformance(t, layouttest.ConformanceCase{
		Layout: "asynq", Corrupt: "asynq:{QUEUE}:active",
		Add:  []string{"LPUSH asynq:{QUEUE}:pending JOB"},
		Take: []string{"RPOPLPUSH asynq:{QUEUE}:pending asynq:{QUEUE}:active"},
		Ack:  []string{"RPOP asynq:{QUEUE}:active"},
	})
}

// TestUnknown: what makes no sense is never nothing.
func TestUnknown(t *testing.T) {
	t.Parallel()
	layouttest.CheckUnknown(t, map[string]layouttest.UnknownCase{
		"time": {
			Query: layouttest.Query("asynq", "q", "age", "payload"),
			Keys:  []string{"LPUSH asynq:{q}:pending 1", "HSET asynq:{q}:t:1 pending_since today"},
			Err:   backlog.ErrPartial,
		},
	})
}

// TestDenied: without the rights of job frameworks there is no reading of what needs them.
func TestDenied(t *testing.T) {
	t.Parallel()
	layouttest.CheckDenied(t, layouttest.DeniedCase{
		Add:     "LPUSH asynq:{q}:pending 1",
		Denied:  layouttest.Query("asynq", "q", "age", "payload"),
		Allowed: []backlog.Query{layouttest.Query("asynq", "q")},
	})
}
