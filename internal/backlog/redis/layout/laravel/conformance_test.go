package laravel_test

import (
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
)

// TestConformance holds the layout to the suite of engines, on each server.
func TestConformance(t *testing.T) {
	t.Parallel()
	layouttest.Conformance(t, layouttest.ConformanceCase{
		Layout: "laravel", Corrupt: "queues:QUEUE",
		Add: []string{`RPUSH queues:QUEUE {"job":"Job"}`},
		Ack: []string{"LPOP queues:QUEUE"},
	})
}

// TestUnknown: what makes no sense is never nothing.
func TestUnknown(t *testing.T) {
	t.Parallel()
	layouttest.CheckUnknown(t, map[string]layouttest.UnknownCase{
		"job": {
			Query: layouttest.Query("laravel", "q", "age", "payload"),
			Keys:  []string{"RPUSH queues:q nonsense"},
			Want:  backlog.Reading{Ready: 1, InFlight: backlog.Exactly(0)},
		},
		"job of Horizon": {
			Query: layouttest.Query("laravel", "q", "age", "payload"),
			Keys:  []string{`RPUSH queues:q {"pushedAt":"1700000000.25","delay":5}`},
			Want:  backlog.Reading{Ready: 1, InFlight: backlog.Exactly(0), Oldest: backlog.Age{Since: time.UnixMilli(1700000005250), Kind: backlog.AgeExact}},
		},
	})
}

// TestDenied: without the rights of job frameworks there is no reading of what needs them.
func TestDenied(t *testing.T) {
	t.Parallel()
	layouttest.CheckDenied(t, layouttest.DeniedCase{
		Add:     "RPUSH queues:q 1",
		Denied:  layouttest.Query("laravel", "q", "age", "payload"),
		Allowed: []backlog.Query{layouttest.Query("laravel", "q")},
	})
}
