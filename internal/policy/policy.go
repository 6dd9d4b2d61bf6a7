// Package policy turns what is known of a queue into what KEDA is told. It is
// pure: the same spec, observation and time always give the same decision.
package policy

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// noise is the part of a replica by which a value must change to be told.
const noise = 0.1

// Decide turns an observation into a decision. told is what was told last. The
// error wraps ErrUnknown, ErrMissing or ErrSettling and says why there is none; with
// ErrSettling the decision is what would be told. Unknown is never zero.
//
// Worked example: target 5, 23 ready, 4 in flight and a queue whose engine
// allows 5 workers give 27 messages, capped at 25: the HPA wants 5 replicas.
//
// With a drain time of 60 s and replicas that finish 2 messages a second the target
// is 120. 1,200 waiting and 10 arriving each second give 1,200 + 10*60 = 1,800: the
// HPA wants 15 replicas. They finish 30 a second, 10 arrive, and 1,200 are gone in 60 s.
func Decide(spec Spec, seen backlog.Observation, told Told, now time.Time) (Decision, error) {
	if err := usable(spec, &seen, now); err != nil {
		return Decision{}, err
	}
	d := Decision{Target: spec.Target}
	if len(spec.Weights) > 0 {
		d.weighing = weigh(&seen)
	}
	var there float64
	if len(seen.Latest.Parts) > 0 {
		there = d.several(spec, &seen)
	} else {
		there = d.one(spec, &seen)
	}
	there = d.raiseAfterRestart(spec, &seen, there, now)
	if d.Drain.Fast > 0 {
		there = d.Value
	}
	alone := d.Value
	d.hold(spec, &seen, now)
	d.activate(spec, &seen, there, now)
	if d.Active && alone > spec.Activation && d.Drain.Fast > 0 {
		// The rate falls although nothing else is read.
		d.changesAt(now.Add(rateStep))
	}
	err := d.settle(spec, &seen, now)
	d.steady(spec, told)
	d.bound(spec, &seen.Latest)
	if seen.Err != nil {
		d.note(Bridged)
	}
	if d.weighing != nil && d.weighing.left < 0 {
		return Decision{}, errCostlyWeights
	}
	d.weighing = nil
	return d, err
}

// usable tells whether the observation is good enough for a decision.
func usable(spec Spec, seen *backlog.Observation, now time.Time) error {
	switch {
	case !seen.Known() && seen.Err == nil:
		return fmt.Errorf("%w: not read yet", ErrUnknown)
	case !seen.Known():
		return fmt.Errorf("%w: never read: %w", ErrUnknown, seen.Err)
	case seen.Err != nil && now.Sub(seen.Latest.At) > spec.MaxStaleness:
		return fmt.Errorf("%w: last read %s ago: %w", ErrUnknown, now.Sub(seen.Latest.At).Round(time.Second), seen.Err)
	case spec.MissingIsError:
		return exists(&seen.Latest)
	}
	return nil
}

// exists returns an error if a queue, or one of several that somebody named, is not there.
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

// steady keeps what was told last where the new value is the same but for noise.
func (d *Decision) steady(spec Spec, told Told) {
	sameSide := (told.Value > spec.Activation) == (d.Value > spec.Activation)
	if told.Value > 0 && d.Value > 0 && sameSide && math.Abs(d.Value-told.Value) < noise*spec.Target {
		d.change(Steadied, told.Value)
	}
}

// bound keeps the value between the trigger's bounds, and below what more workers
// could help with. It comes last, so the bounds are exact.
func (d *Decision) bound(spec Spec, latest *backlog.Reading) {
	if d.Active && spec.MinReplicas > 0 {
		d.change(Floored, max(d.Value, float64(spec.MinReplicas)*spec.Target))
	}
	if spec.MaxReplicas > 0 {
		d.change(Limited, min(d.Value, float64(spec.MaxReplicas)*spec.Target))
	}
	d.change(Capped, spec.limit(d.Value, latest))
}

// change sets the value and notes the step if that changes anything.
func (d *Decision) change(why Reason, value float64) {
	value = min(value, MaxValue)
	if value != d.Value {
		d.step(Step{why, d.Value, value})
		d.Value = value
	}
}

// note notes a step that leaves the value as it is.
func (d *Decision) note(why Reason) { d.step(Step{why, d.Value, d.Value}) }

func (d *Decision) step(step Step) {
	if d.Steps == nil {
		d.Steps = make([]Step, 0, 4)
	}
	d.Steps = append(d.Steps, step)
}

// changesAt notes that the decision may change at t.
func (d *Decision) changesAt(t time.Time) {
	if d.Until.IsZero() || t.Before(d.Until) {
		d.Until = t
	}
}
