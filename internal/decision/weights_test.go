package decision_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/decision"
)

// TestWeighingIsBounded: weights that take long to match with the queues are an error, and
// end soon; as many as a trigger may have of the usual kind are none.
func TestWeighingIsBounded(t *testing.T) {
	t.Parallel()
	now := at(0)
	latest := backlog.Reading{At: now, Ready: 1000}
	for range 1000 {
		latest.Parts = append(latest.Parts, backlog.Part{Queue: strings.Repeat("a", 1000), Reading: backlog.Reading{At: now, Ready: 1}})
	}
	hostile, usual := decision.Spec{Target: 1}, decision.Spec{Target: 1}
	for range 100 {
		hostile.Weights = append(hostile.Weights, decision.Weight{Queues: "*" + strings.Repeat("a", 500) + "b", Value: 2})
		usual.Weights = append(usual.Weights, decision.Weight{Queues: "critical-*", Value: 2})
	}
	if _, err := decision.Decide(&hostile, &backlog.Observation{Latest: latest}, 0, now); !errors.Is(err, decision.ErrUnknown) || !errors.Is(err, backlog.ErrExhausted) {
		t.Errorf("hostile weights: %v", err)
	}
	if d, err := decision.Decide(&usual, &backlog.Observation{Latest: latest}, 0, now); err != nil || d.Value != 1000 {
		t.Errorf("usual weights: %v, %v", d.Value, err)
	}
}
