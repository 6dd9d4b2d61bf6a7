package policy_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/policy"
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
	hostile, usual := policy.Spec{Target: 1}, policy.Spec{Target: 1}
	for range 100 {
		hostile.Weights = append(hostile.Weights, policy.Weight{Queues: "*" + strings.Repeat("a", 500) + "b", Value: 2})
		usual.Weights = append(usual.Weights, policy.Weight{Queues: "critical-*", Value: 2})
	}
	if _, err := policy.Decide(hostile, backlog.Observation{Latest: latest}, policy.Told{}, now); !errors.Is(err, policy.ErrUnknown) || !errors.Is(err, backlog.ErrExhausted) {
		t.Errorf("hostile weights: %v", err)
	}
	if d, err := policy.Decide(usual, backlog.Observation{Latest: latest}, policy.Told{}, now); err != nil || d.Value != 1000 {
		t.Errorf("usual weights: %v, %v", d.Value, err)
	}
}
