package runner

import (
	"fmt"
	"math"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/decision"
	"github.com/backlog-scaler/backlog-scaler/internal/policies"
	"github.com/backlog-scaler/backlog-scaler/internal/policy"
	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

// A signal is one signal of a policy: a trigger without KEDA.
type signal struct {
	name    string
	trigger trigger.Signal
	// interest is what the trigger needs to be observed.
	interest backlog.Interest
	// observed is set by subscribe. err is why the signal could not be observed; nil if it is.
	observed Observed
	err      error
	// until is when the value may change without a new reading; zero if time alone changes
	// nothing.
	until time.Time
	// learned is what was learned of the throughput, where the trigger says so, from the data of
	// epoch.
	learned policy.Throughput
	epoch   string
}

// parseSignal parses a signal of a policy and completes its spec. The error begins with the name
// of a field.
func parseSignal(catalog *trigger.Catalog, p *policies.Policy, i int, spec *policy.Signal) (*signal, error) {
	read := &p.Signals[i]
	parsed, err := catalog.ParseSignal(p.Namespace, read.Connection, read.Trigger)
	if err != nil {
		return nil, err
	}
	if parsed.HasTarget && spec.Target > 0 {
		return nil, fmt.Errorf("trigger.target: the signal has a target as well, %v; want one of the two", spec.Target)
	}
	s := &signal{name: read.Name, trigger: parsed}
	spec.OwnTarget = spec.Target == 0 && s.hasOwnTarget()
	d := &s.trigger.Policy
	d.MaxStaleness = spec.MaxStaleness
	s.interest = backlog.Interest{
		Connection: parsed.Connection, Namespace: p.Namespace, Query: parsed.Query, Window: d.Window(), InUse: d.InUse(),
		Counters: d.Counters(), Parts: d.Parts(), Interval: read.Interval,
	}
	// How long an old value counts is decided by the policy, with all signals in view.
	d.MaxStaleness = math.MaxInt64
	if l := parsed.Learned; l != nil {
		if s.learned, err = policy.NewThroughput(l.Floor, l.Ceiling); err != nil {
			return nil, fmt.Errorf("trigger.%w", err)
		}
	}
	return s, nil
}

// hasOwnTarget reports whether the trigger has a target, as that of a queue always has.
func (s *signal) hasOwnTarget() bool { return s.trigger.HasTarget || !s.trigger.Measures }

// remember takes over what was learned from the same signal before.
func (s *signal) remember(before []*signal) {
	for _, b := range before {
		if b.name == s.name && b.trigger.Connection == s.trigger.Connection && b.trigger.Query == s.trigger.Query &&
			b.trigger.Learned != nil && s.trigger.Learned != nil && *b.trigger.Learned == *s.trigger.Learned {
			s.learned, s.epoch = b.learned, b.epoch
		}
	}
}

// subscribe has the signal observed.
func (s *signal) subscribe(observer Observer, changed func()) {
	s.observed, s.err = observer.Notify(s.interest, changed)
	if s.err != nil {
		s.observed = unobserved{}
	}
}

// observe returns what is known of the signal.
func (s *signal) observe(target *policy.Target, now time.Time) policy.Observation {
	s.until = time.Time{}
	switch {
	case s.err != nil:
		return policy.Observation{Err: s.err}
	case s.observed.Gone():
		return policy.Observation{Err: errConnectionRemoved}
	}
	seen := s.observed.Observation()
	if !seen.Known() {
		return policy.Observation{Err: seen.Err}
	}
	spec := s.learn(&seen.Latest, target)
	d, err := decision.Decide(&spec, &seen, 0, now)
	s.until = d.Until
	if err != nil {
		return policy.Observation{Err: err}
	}
	return policy.Observation{Value: d.Value, At: seen.Latest.At, Target: d.Target, Err: seen.Err}
}

// learn adds a reading to what is known of the throughput, and returns the spec to decide by.
func (s *signal) learn(latest *backlog.Reading, target *policy.Target) decision.Spec {
	if s.trigger.Learned == nil {
		return s.trigger.Policy
	}
	if done, known := finished(latest); known {
		sample := policy.Sample{At: latest.At, Done: done, Available: target.Available, Waiting: latest.Ready+latest.Due > 0}
		if s.epoch != latest.Epoch {
			// Counters of other data do not continue the earlier ones.
			s.learned, s.epoch = s.learned.Add(policy.Sample{At: latest.At.Add(-1)}), latest.Epoch
		}
		s.learned = s.learned.Add(sample)
	}
	return s.spec()
}

// spec returns the spec to decide by: that of the trigger, with what was learned.
func (s *signal) spec() decision.Spec {
	spec := s.trigger.Policy
	if s.trigger.Learned != nil {
		spec.Target = trigger.DrainTarget(s.throughput(), spec.DrainTime)
	}
	return spec
}

// throughput returns the learned throughput that is in force: the floor while it is unknown.
func (s *signal) throughput() float64 {
	if e := s.learned.Estimate(); e.Known {
		return e.PerSecond
	}
	return s.trigger.Learned.Floor
}

// finished returns the number of jobs that were finished so far, from any beginning; false where
// the engine does not count them. What was enqueued and is no backlog any more is finished.
func finished(r *backlog.Reading) (int64, bool) {
	switch {
	case r.Dequeued.Known:
		return r.Dequeued.N, true
	case r.Enqueued.Known:
		return r.Enqueued.N - r.Backlog(), true
	default:
		return 0, false
	}
}

// errConnectionRemoved is a signal whose connection is no longer configured.
var errConnectionRemoved = fmt.Errorf("%w: the connection was removed from the scaler's configuration", backlog.ErrUnavailable)

// errUnread is a signal without a reading so far.
var errUnread = fmt.Errorf("%w: not read yet", decision.ErrUnknown)

// An unobserved is a signal that could not be observed.
type unobserved struct{}

// Observation returns nothing.
func (unobserved) Observation() backlog.Observation { return backlog.Observation{} }

// SetWaiting does nothing.
func (unobserved) SetWaiting(bool) {}

// Gone returns true.
func (unobserved) Gone() bool { return true }

// Close does nothing.
func (unobserved) Close() {}
