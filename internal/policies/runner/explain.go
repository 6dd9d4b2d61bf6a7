package runner

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/decision"
	"github.com/backlog-scaler/backlog-scaler/internal/policies"
	"github.com/backlog-scaler/backlog-scaler/internal/policy"
)

// Keys returns the names of all policies, in order.
func (r *Runner) Keys() []policies.Key {
	r.mu.Lock()
	keys := slices.Collect(maps.Keys(r.entries))
	r.mu.Unlock()
	slices.SortFunc(keys, func(a, b policies.Key) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return keys
}

// Status returns a policy with the last decision on it; false if there is no such policy.
func (r *Runner) Status(key policies.Key) (policies.Status, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.entries[key]
	if e == nil {
		return policies.Status{}, false
	}
	return e.status(), true
}

// Explain returns everything that is known of a policy; false if there is no such policy.
func (r *Runner) Explain(key policies.Key) (policies.Explanation, bool) {
	now := r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.entries[key]
	if e == nil {
		return policies.Explanation{}, false
	}
	x := policies.Explanation{Status: e.status()}
	if e.compiled != nil && x.Read() {
		x.Pending = e.compiled.Pending(&e.outcome.Decision, &e.target.Target)
	}
	for i, s := range e.signals {
		x.Signals = append(x.Signals, s.status(&e.policy.Spec.Signals[i], now))
	}
	return x, true
}

// status returns what is known without reading signals.
func (e *entry) status() policies.Status {
	return policies.Status{Policy: e.policy, Target: e.target, TargetKnown: e.targetKnown, Outcome: e.outcome, Decided: e.decided}
}

// status returns what is known of the signal. Other than observe it learns nothing.
func (s *signal) status(of *policy.Signal, now time.Time) policies.SignalStatus {
	spec := s.spec()
	status := policies.SignalStatus{Name: s.name, Trigger: s.trigger.Trigger, Target: of.Target}
	if of.Target == 0 && s.hasOwnTarget() {
		status.Target = spec.Target
	}
	if s.trigger.Learned != nil {
		status.Learned = &policies.LearnedThroughput{Estimate: s.learned.Estimate(), Bounds: *s.trigger.Learned, Used: s.throughput()}
	}
	status.Trigger.Policy = spec
	status.Trigger.Policy.MaxStaleness = of.MaxStaleness
	switch {
	case s.err != nil:
		status.Err = s.err
		return status
	case s.observed.Gone():
		status.Err = errConnectionRemoved
		return status
	}
	status.Observation = s.observed.Observation()
	if !status.Observation.Known() {
		status.Err = cmp.Or(status.Observation.Err, errUnread)
		return status
	}
	status.Decision, status.Err = decision.Decide(&spec, &status.Observation, 0, now)
	return status
}
