package e2e_test

import (
	"testing"

	"github.com/backlog-scaler/backlog-scaler/e2e/measure"
)

// sides are both triggers on the shared Redis.
func (s *suite) sides() (ours, theirs *measure.Side) {
	return &measure.Side{Stage: s.stage, Redis: s.redis, Scaler: s.scaler}, &measure.Side{Stage: s.stage, Redis: s.redis}
}

// activation asserts how soon after the write there is a replica, as "make bench" measures it.
func (s *suite) activation(t *testing.T) {
	ours, theirs := s.sides()
	figures, err := measure.Activation(s.ctx, ours, theirs, t.Logf)
	check(t, err)
	s.note(t, figures...)
}

// outAndIn asserts that workloads go from zero to ten replicas and back, as "make bench" measures it.
func (s *suite) outAndIn(t *testing.T) {
	ours, theirs := s.sides()
	figures, err := measure.OutAndIn(s.ctx, ours, theirs)
	check(t, err)
	s.note(t, figures...)
}
