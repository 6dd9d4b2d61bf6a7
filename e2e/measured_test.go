package e2e_test

import (
	"testing"

	"github.com/backlog-scaler/backlog-scaler/bench/measurement"
	"github.com/backlog-scaler/backlog-scaler/e2e/measure"
)

// sides are both triggers on the shared Redis.
func (s *suite) sides() (ours, theirs *measure.Side) {
	return &measure.Side{Stage: s.stage, Redis: s.redis, Scaler: s.scaler}, &measure.Side{Stage: s.stage, Redis: s.redis}
}

// activation asserts that the push wakes a workload long before the polling of the built-in trigger would. How long exactly is
// for "make bench": on a busy machine only the ratio means something.
func (s *suite) activation(t *testing.T) {
	const rounds, ratio = 10, 0.5
	ours, theirs := s.sides()
	activations, err := measure.NewActivations(s.ctx, ours, theirs, rounds)
	check(t, err)
	check(t, activations.Measure(s.ctx))
	t.Logf("ours %.1f ms, built-in %.1f ms", activations.Ours(), activations.Theirs())
	var compared measurement.Rounds
	for i, own := range activations.Ours() {
		compared.Add(own, activations.Theirs()[i])
	}
	s.note(t, compared.Measurement("activation", "ms", measurement.RatioAtMost(ratio)))
}

// outAndIn asserts that workloads go from zero to ten replicas and back. How long it takes is bounded by "make bench".
func (s *suite) outAndIn(t *testing.T) {
	ours, theirs := s.sides()
	measurements, err := measure.OutAndIn(s.ctx, ours, theirs)
	check(t, err)
	for _, m := range measurements {
		m.Bound = measurement.Bound{}
		s.note(t, m)
	}
}
