package runner

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/policies"
	"github.com/backlog-scaler/backlog-scaler/internal/policy"
	"github.com/backlog-scaler/backlog-scaler/internal/schedule"
	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

// An entry is a policy with everything that is known of it.
type entry struct {
	policy policies.Policy
	// compiled is nil if there are problems.
	compiled *policy.Policy
	problems []policies.Problem
	observed
	// workersChanged reports that the last decision found other workers busy than the one before.
	workersChanged bool

	target      policies.Target
	targetKnown bool
	state       policy.State
	// outcome is what was decided last, if decided is set. until is when it may change without
	// any event; zero if time alone changes nothing.
	outcome policies.Outcome
	decided bool
	until   time.Time

	// due is when to decide at the latest, and place the place in the schedule; -1 for none.
	due   time.Time
	place int
}

// observed is what is observed for a policy; empty if there are problems.
type observed struct {
	signals []*signal
	// workers are those that are spared when they are busy; nil if their queue is not asked.
	workers *workers
}

// close ends the observation.
func (o observed) close() {
	for _, s := range o.signals {
		s.observed.Close()
	}
	o.workers.close()
}

// newEntry returns the entry of a policy that was set. What is known of the workload, and what was
// remembered from decisions, stays from before the change.
func newEntry(p policies.Policy, before *entry) *entry {
	e := &entry{policy: p, place: -1}
	if before != nil {
		e.target, e.targetKnown, e.state = before.target, before.targetKnown, before.state
	}
	return e
}

// prepare compiles the policy and subscribes to its signals. What was learned from the same signals
// before stays. The caller closes what was observed before.
func (e *entry) prepare(observer Observer, catalog *trigger.Catalog, before []*signal, changed func()) {
	c, problems := compile(&e.policy, catalog)
	e.compiled, e.problems, e.observed = c.policy, problems, observed{signals: c.signals}
	for _, s := range c.signals {
		s.remember(before)
		s.subscribe(observer, changed)
	}
	if c.workers != nil {
		e.workers = newWorkers(c.workers, observer, changed)
	}
}

// The reasons why there is no decision on a policy without problems.
var (
	errTargetUnread = errors.New("the workload has not been read yet")
	errTarget       = errors.New("the workload cannot be read")
)

// decide decides and keeps the outcome. While replicas are about to fall, it has the workers
// observed, because the next decision needs to know which pods are busy.
func (e *entry) decide(now time.Time) {
	e.decided, e.until = true, time.Time{}
	e.decideReplicas(now)
	var until time.Time
	e.workersChanged, until = e.workers.follow(e.outcome.Decision.Falling, now)
	e.changesAt(until)
}

// decideReplicas decides on the replicas.
func (e *entry) decideReplicas(now time.Time) {
	e.outcome = policies.Outcome{Generation: e.policy.Generation, At: now, Problems: e.problems}
	switch {
	case len(e.problems) > 0:
		return
	case !e.targetKnown:
		e.outcome.Err = errTargetUnread
		return
	case e.target.Err != nil:
		e.outcome.Err = fmt.Errorf("%w: %w", errTarget, e.target.Err)
		return
	}
	in := policy.Input{Signals: make(map[string]policy.Observation, len(e.signals)), Target: e.target.Target, State: e.state}
	for _, s := range e.signals {
		in.Signals[s.name] = s.observe(&e.target.Target, now)
		e.changesAt(s.until)
	}
	d, err := e.compiled.Decide(in, now)
	e.state = d.State
	e.outcome.Decision, e.outcome.Err = d, err
	e.changesAt(d.Until)
	if err != nil {
		return
	}
	e.outcome.Replicas = d.Replicas
	if now.Before(e.target.HeldUntil) {
		e.outcome.Replicas = max(d.Replicas, min(e.target.Replicas, e.policy.Spec.MaxReplicas))
		e.changesAt(e.target.HeldUntil)
	}
	for _, s := range e.signals {
		s.observed.SetWaiting(!d.Active)
	}
}

// changesAt notes that the outcome may change at a time; zero is never.
func (e *entry) changesAt(at time.Time) {
	if !at.IsZero() && (e.until.IsZero() || at.Before(e.until)) {
		e.until = at
	}
}

// same reports whether two outcomes say the same, apart from times.
func same(a, b *policies.Outcome) bool {
	sameProblem := func(p, q policies.Problem) bool { return p.Kind == q.Kind && text(p.Err) == text(q.Err) }
	return a.Generation == b.Generation && a.Replicas == b.Replicas && text(a.Err) == text(b.Err) &&
		slices.EqualFunc(a.Problems, b.Problems, sameProblem) && sameDecision(&a.Decision, &b.Decision)
}

func sameDecision(a, b *policy.Decision) bool {
	return a.Active == b.Active && a.Wanted == b.Wanted && a.Falling == b.Falling && a.Floor == b.Floor && a.Ceiling == b.Ceiling &&
		a.State.Replicas == b.State.Replicas && slices.Equal(a.Steps, b.Steps) && sameWindows(&a.Schedule, &b.Schedule) &&
		slices.EqualFunc(a.Signals, b.Signals, sameSignal)
}

func sameWindows(a, b *schedule.State) bool {
	return slices.Equal(a.Open, b.Open) && a.Next == b.Next && a.Conflict == b.Conflict
}

func sameSignal(a, b policy.SignalState) bool {
	return a.Name == b.Name && a.Value == b.Value && a.State == b.State && text(a.Err) == text(b.Err)
}

// text returns the text of an error; empty for none.
func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
