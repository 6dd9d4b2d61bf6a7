// Package decision turns the observation of a queue into the value, target and activity
// that the scaler reports to KEDA. It is pure: the same spec, observation, last reported
// value and time always give the same decision.
package decision

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// MaxValue is the largest value of a decision. KEDA passes values on in thousandths, as an
// int64. A larger value overflows, becomes negative and counts as zero:
// https://github.com/kedacore/keda/blob/v2.21.0/pkg/scalers/scaler.go#L162
const MaxValue = 9e15

// A Decision is what the scaler reports to KEDA about one trigger, and why.
type Decision struct {
	// Value is the metric's value in messages, or the number that the engine measures: finite
	// and never negative. The HPA computes ceil(Value / Target) replicas.
	Value float64
	// Target is the number of messages, or the measured number, per replica; always positive.
	Target float64
	// Active reports whether the workload should have any replica.
	Active bool
	// Until is when the decision may change without a new reading, for instance because a
	// hold ends. Zero if time alone changes nothing.
	Until time.Time
	// Steps are the adjustments of the value, in order. A step is present only if it changed
	// the value, keeps the trigger active or limits how reliable the value is.
	Steps []Step
	// Drain is what a drain time was computed from; zero without one.
	Drain Drain
	// Parts are the queues of a trigger that has several; nil for one queue.
	Parts []Part
}

// A Drain is what the value of a trigger with a drain time was computed from.
type Drain struct {
	// Time is the drain time, and Throughput the messages that one replica finishes in
	// a second.
	Time       time.Duration
	Throughput float64
	// Arrivals is the rate that counts, in messages per second: the larger of Slow, over
	// Window, and Fast, over a part of it. Of several queues it is the sum.
	Arrivals, Slow, Fast float64
	Window               time.Duration
	// LowerBound reports that more messages may have arrived: the engine has no counter, so
	// messages that came and went between two readings are missing.
	LowerBound bool
}

// A Part is one queue of a trigger that has several.
type Part struct {
	Queue string
	// Count is the work in messages, by the parts of the backlog that count.
	Count float64
	// Weight is the factor of one message of this queue.
	Weight float64
	// Arrivals is the rate that counts, in messages per second; zero without a drain time.
	Arrivals float64
	// Value is the weighted value of the queue, before the adjustments that concern the
	// trigger as a whole.
	Value float64
	// Paused reports that only work in flight counts, and WorkerLimited that Value is lower
	// because more workers do not help this queue.
	Paused, WorkerLimited bool
}

// A Step is one adjustment of the value.
type Step struct {
	Reason        Reason
	Before, After float64
}

// The reasons why there is no decision.
var (
	// ErrUnknown is a queue without a reading that is fresh enough. KEDA then holds the
	// replicas.
	ErrUnknown = errors.New("backlog unknown")
	// ErrMissing is a queue that does not exist, where the trigger says that this is an
	// error.
	ErrMissing = errors.New("queue does not exist")
	// ErrWarmingUp is a trigger with a hold whose window is not yet filled since the program
	// started, so a larger value before the start may be unseen. KEDA then holds the
	// replicas. The decision that comes with it applies once the window is filled.
	ErrWarmingUp = errors.New("warming up after a start")
)

// Decide turns an observation into a decision. lastReported is the value most recently
// reported to KEDA; zero if there is none. The error wraps ErrUnknown, ErrMissing or
// ErrWarmingUp. Unknown is never zero.
//
// Worked example: target 5, 23 ready, 4 in flight and a queue whose engine allows 5
// workers give 27 messages, limited to 25: the HPA wants 5 replicas.
//
// With a drain time of 60 s and replicas that finish 2 messages a second the target
// is 120. 1,200 waiting and 10 arriving each second give 1,200 + 10*60 = 1,800: the
// HPA wants 15 replicas. They finish 30 a second, 10 arrive, and 1,200 are gone in 60 s.
//
// A measured number is the value itself: 0.93 with target 0.25 makes the HPA want 4 replicas.
func Decide(spec *Spec, seen *backlog.Observation, lastReported float64, now time.Time) (Decision, error) {
	if err := usable(spec, seen, now); err != nil {
		return Decision{}, err
	}
	m := maker{Decision: Decision{Target: spec.Target}}
	latest := &seen.Latest
	m.count(spec, seen)
	m.adjust(ReasonWeights, m.weighted())
	m.adjust(ReasonCombine, m.combined(spec))
	m.adjust(ReasonPaused, m.withoutPaused(spec, latest))
	m.adjust(ReasonMaxAge, m.withAge(spec, latest))
	m.adjust(ReasonDrainTime, m.withArrivals(spec, latest))
	m.adjust(ReasonWorkerLimit, m.withQueueLimits(spec, latest))
	if spec.Jobs == "" {
		m.adjust(ReasonDataReplaced, m.atLeastReplaced(spec, seen, now))
	}
	m.valueBeforeHold = m.Value
	m.adjust(ReasonHold, m.atLeastHeld(spec, seen, now))
	m.decideActivity(spec, seen, now)
	err := m.warmingUp(spec, seen, now)
	if spec.Jobs == "" {
		m.adjust(ReasonDeadband, m.unlessWithinDeadband(spec, lastReported))
	}
	m.adjust(ReasonMinReplicas, m.atLeastMinReplicas(spec))
	m.adjust(ReasonMaxReplicas, m.atMostMaxReplicas(spec))
	m.adjust(ReasonWorkerLimit, spec.limit(m.Value, latest))
	if seen.Err != nil {
		m.note(ReasonStale)
	}
	if m.weighingExhausted() {
		return Decision{}, errCostlyWeights
	}
	return m.Decision, err
}

// A maker makes one decision. Each of its adjustments returns the value after one step; they
// run in the order of docs/decisions.md. A maker holds no pointer to what it decides on, and
// the adjustments are no list of functions: either would move each decision to the heap.
type maker struct {
	Decision

	// only is the queue of a trigger with one; Parts are those of one with several.
	only Part
	// activationValue is compared with the activation: the value without arrivals, raised
	// after data was replaced. It includes arrivals while they go on.
	activationValue float64
	// valueBeforeHold is the value without the hold.
	valueBeforeHold float64
	// matchSteps are the steps of matching weights that are left; see maxMatchSteps.
	matchSteps int
}

// usable returns nil if the observation is good enough for a decision.
func usable(spec *Spec, seen *backlog.Observation, now time.Time) error {
	switch {
	case !seen.Known() && seen.Err == nil:
		return fmt.Errorf("%w: not read yet", ErrUnknown)
	case !seen.Known():
		return fmt.Errorf("%w: never read: %w", ErrUnknown, seen.Err)
	case seen.Err != nil && now.Sub(seen.Latest.At) > spec.MaxStaleness:
		return fmt.Errorf("%w: last read %s ago: %w", ErrUnknown, now.Sub(seen.Latest.At).Round(time.Second), seen.Err)
	case spec.MissingIsError:
		if err := exists(&seen.Latest); err != nil {
			return err
		}
	}
	return usableForJobs(spec, seen)
}

// exists returns an error if the queue, or one of several that the trigger names, does not
// exist.
func exists(r *backlog.Reading) error {
	missing := r.Missing
	about := r.Warning
	for i := range r.Parts {
		if part := &r.Parts[i]; part.Reading.Missing {
			missing, about = true, cmp.Or(part.Reading.Warning, strconv.Quote(part.Queue))
			break
		}
	}
	switch {
	case !missing:
		return nil
	case about == "":
		return ErrMissing
	default:
		return fmt.Errorf("%w: %s", ErrMissing, about)
	}
}

// adjust sets the value and adds a step if that changes it.
func (m *maker) adjust(reason Reason, value float64) {
	value = min(value, MaxValue)
	if value != m.Value {
		m.step(Step{reason, m.Value, value})
		m.Value = value
	}
}

// note adds a step that leaves the value unchanged.
func (m *maker) note(reason Reason) { m.step(Step{reason, m.Value, m.Value}) }

func (m *maker) step(step Step) {
	if m.Steps == nil {
		m.Steps = make([]Step, 0, 4)
	}
	m.Steps = append(m.Steps, step)
}

// changesAt notes that the decision may change at t.
func (m *maker) changesAt(t time.Time) {
	if m.Until.IsZero() || t.Before(m.Until) {
		m.Until = t
	}
}
