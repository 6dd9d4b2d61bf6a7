package beequeue_test

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
		Layout: "beequeue", Params: []string{"prefix", "{bq}"}, Corrupt: "{bq}:QUEUE:active",
		Add:  []string{"LPUSH {bq}:QUEUE:waiting JOB"},
		Take: []string{"RPOPLPUSH {bq}:QUEUE:waiting {bq}:QUEUE:active"},
		Ack:  []string{"RPOP {bq}:QUEUE:active"},
	})
}

// TestUnknown: what makes no sense is never nothing.
func TestUnknown(t *testing.T) {
	t.Parallel()
	layouttest.CheckUnknown(t, map[string]layouttest.UnknownCase{
		"job": {
			Query: layouttest.Query("beequeue", "q", "age", "payload"),
			Keys:  []string{"LPUSH bq:q:waiting 1", "HSET bq:q:jobs 1 nonsense"},
			Err:   backlog.ErrPartial,
		},
	})
}

// TestDenied: without the rights of job frameworks there is no reading of what needs them.
func TestDenied(t *testing.T) {
	t.Parallel()
	layouttest.CheckDenied(t, layouttest.DeniedCase{
		Add:     "LPUSH bq:q:waiting 1",
		Denied:  layouttest.Query("beequeue", "q", "age", "payload"),
		Allowed: []backlog.Query{layouttest.Query("beequeue", "q")},
	})
}
