package decision_test

import (
	"errors"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/decision"
)

// TestJobs: nothing of the past counts for a ScaledJob, because each message that is done would get
// another Job, and a number that its strategy needs is never taken for zero.
func TestJobs(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	reading := func(ready int64, inFlight backlog.Count) backlog.Reading {
		return backlog.Reading{At: now, Ready: ready, InFlight: inFlight, Epoch: "after"}
	}
	before := backlog.Reading{At: now.Add(-time.Second), Ready: 50, InFlight: backlog.Exactly(0), Epoch: "before"}
	for _, tc := range []struct {
		name     string
		strategy decision.JobStrategy
		held     bool
		seen     backlog.Observation
		last     float64
		want     float64
		unknown  bool
	}{
		{name: "what workers hold", strategy: decision.JobsDefault, seen: backlog.Observation{Latest: reading(3, backlog.Exactly(4))}, want: 7},
		{name: "what waits", strategy: decision.JobsAccurate, seen: backlog.Observation{Latest: reading(3, backlog.Exactly(4))}, want: 3},
		{name: "unknown, and not needed", strategy: decision.JobsAccurate, seen: backlog.Observation{Latest: reading(3, backlog.Count{})}, want: 3},
		{name: "unknown, and needed", strategy: decision.JobsDefault, seen: backlog.Observation{Latest: reading(3, backlog.Count{})}, unknown: true},
		{name: "unknown, of a queue that does not exist", strategy: decision.JobsDefault, seen: backlog.Observation{Latest: backlog.Reading{At: now, Missing: true}}, unknown: true},
		{name: "unknown, but among what is ready", strategy: decision.JobsCustom, held: true, seen: backlog.Observation{Latest: reading(3, backlog.Count{})}, want: 3},
		{name: "an old reading", strategy: decision.JobsDefault, seen: backlog.Observation{Latest: reading(3, backlog.Exactly(0)), Err: backlog.ErrUnavailable}, unknown: true},
		{name: "the last value", strategy: decision.JobsDefault, seen: backlog.Observation{Latest: reading(1000, backlog.Exactly(0))}, last: 1000.01, want: 1000},
		{name: "replaced data", strategy: decision.JobsDefault, seen: backlog.Observation{Latest: reading(1, backlog.Exactly(0)), Past: []backlog.Reading{before}}, want: 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			spec := decision.Spec{Target: 1, Count: tc.strategy.Count(), Jobs: tc.strategy, HeldIsReady: tc.held, MaxStaleness: time.Minute}
			got, err := decision.Decide(&spec, &tc.seen, tc.last, now)
			switch {
			case tc.unknown && !errors.Is(err, decision.ErrUnknown):
				t.Errorf("%+v, %v, want ErrUnknown", got, err)
			case !tc.unknown && (err != nil || got.Value != tc.want):
				t.Errorf("%+v, %v, want %v", got, err, tc.want)
			}
		})
	}
}
