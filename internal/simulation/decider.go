package simulation

import (
	"errors"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/decision"
	"github.com/backlog-scaler/backlog-scaler/internal/policies"
	"github.com/backlog-scaler/backlog-scaler/internal/policy"
	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

// What the scaler does about policies, as in internal/policies/runner and internal/kube.
const (
	// longestRest is the longest time between two decisions.
	longestRest = 30 * time.Second
	// jumpDelay is the time from a change of the replicas to a jump: the scaler sees the change, and
	// writes.
	jumpDelay = 100 * time.Millisecond
	// heldFor is how long no smaller number is reported after a jump, and startFor how long after
	// its first replica a workload counts as starting.
	heldFor  = 31 * time.Second
	startFor = time.Minute
)

// errUnknown is why a signal of a simulation is not known.
var errUnknown = errors.New("a trace has no such number")

// A decider decides on a policy.
type decider struct {
	asked   *asked
	policy  *Policy
	learned []policy.Throughput
	state   policy.State
	last    policy.Decision
	err     error
	// lastScale is when the replicas last changed by a jump, and held until when that number is
	// reported at least.
	lastScale time.Time
	held      time.Time
	// started is when the first replica was seen; zero if the workload is not starting.
	started  time.Time
	replicas int32
	// timer is when it decides next without a reason.
	timer time.Duration
}

func newDecider(a *asked) *decider {
	d := &decider{asked: a, policy: a.trigger.Policy}
	for _, s := range d.policy.Signals {
		learned := policy.Throughput{}
		if s.Learned != nil {
			learned = *s.Learned
		}
		d.learned = append(d.learned, learned)
	}
	return d
}

// workloadChanged has the policy decide on changed replicas.
func (a *asked) workloadChanged(now time.Duration) {
	if a.policy != nil && a.policy.timer > 0 {
		a.redecide(now)
	}
}

// redecide decides without a new reading.
func (a *asked) redecide(now time.Duration) {
	a.policy.decide(now)
	a.stream(now)
}

// decide decides on the policy.
func (d *decider) decide(now time.Duration) {
	at, r := d.asked.run.at(now), d.asked.run
	d.see(r.replicas, at)
	target := policy.Target{Replicas: r.replicas, Available: int32(r.fleet.available), LastScale: d.lastScale} //nolint:gosec // at most Replicas
	if d.policy.SparesBusy {
		target.Pods = r.fleet.pods()
	}
	next := now + longestRest
	in := policy.Input{Signals: make(map[string]policy.Observation, len(d.policy.Signals)), Target: target, State: d.state}
	for i := range d.policy.Signals {
		seen, until := d.observe(i, &target, at)
		in.Signals[d.policy.Signals[i].Name] = seen
		next = sooner(next, until, at, now)
	}
	d.last, d.err = d.policy.Policy.Decide(in, at)
	d.state = d.last.State
	next = sooner(next, d.last.Until, at, now)
	next = sooner(next, d.held, at, now)
	if d.timer <= now || next < d.timer {
		d.timer = next
		r.events.add(event{at: next, kind: decided, trigger: d.asked.index})
	}
	if d.jumps() {
		r.events.add(event{at: now + jumpDelay, kind: jumped, trigger: d.asked.index})
	}
}

// sooner returns the offset of a time, if it is after now and before next.
func sooner(next time.Duration, until, at time.Time, now time.Duration) time.Duration {
	if !until.After(at) {
		return next
	}
	return min(next, now+until.Sub(at))
}

// observe returns what is known of a signal, and until when.
func (d *decider) observe(i int, target *policy.Target, at time.Time) (policy.Observation, time.Time) {
	s, e := &d.policy.Signals[i], d.asked.eyes[i]
	if s.Unknown {
		return policy.Observation{Err: errUnknown}, time.Time{}
	}
	spec := s.Spec
	if s.Learned != nil {
		latest := &e.seen.Latest
		sample := policy.Sample{At: latest.At, Available: target.Available, Waiting: latest.Ready > 0, Done: latest.Dequeued.N}
		d.learned[i] = d.learned[i].Add(sample)
		if estimate := d.learned[i].Estimate(); estimate.Known {
			spec.Target = trigger.DrainTarget(estimate.PerSecond, spec.DrainTime)
		}
	}
	made, err := decision.Decide(&spec, &e.seen, 0, at)
	if err != nil {
		return policy.Observation{Err: err}, made.Until
	}
	return policy.Observation{Value: made.Value, At: e.seen.Latest.At, Target: made.Target}, made.Until
}

// answer returns what KEDA gets: the number of replicas, with target 1.
func (d *decider) answer() (decision.Decision, error) {
	if d.err != nil {
		return decision.Decision{}, d.err
	}
	return decision.Decision{Value: float64(d.reported()), Target: 1, Active: d.last.Active}, nil
}

// reported returns the number that is reported.
func (d *decider) reported() int32 {
	if d.asked.run.at(d.asked.run.tally.now).Before(d.held) {
		return max(d.last.Replicas, min(d.asked.run.replicas, d.policy.Max))
	}
	return d.last.Replicas
}

// see notes the replicas of the workload.
func (d *decider) see(replicas int32, at time.Time) {
	switch {
	case replicas == 0:
		d.started = time.Time{}
	case d.replicas == 0:
		d.started = at
	case !d.started.IsZero() && at.Sub(d.started) >= startFor:
		d.started = time.Time{}
	}
	d.replicas = replicas
}

// jumps reports whether replicas are to rise at once.
func (d *decider) jumps() bool {
	r := d.asked.run
	to := min(d.reported(), r.candidate.Object.Max)
	if d.err != nil || r.replicas < 1 || to <= r.replicas {
		return false
	}
	switch d.policy.Jump {
	case policies.JumpAlways:
		return true
	case policies.JumpFloor:
		return !d.started.IsZero() || min(d.last.Floor, to) > r.replicas
	case policies.JumpFromZero:
		return !d.started.IsZero()
	default:
		return false
	}
}

// jump raises the replicas at once.
func (a *asked) jump(now time.Duration) {
	d := a.policy
	if !d.jumps() {
		return
	}
	d.lastScale = a.run.at(now)
	d.held = d.lastScale.Add(heldFor)
	a.run.scale(now, min(d.reported(), a.run.candidate.Object.Max))
}
