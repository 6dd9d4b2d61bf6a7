package policy

import (
	"fmt"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// raiseAfterRestart keeps what was last known of an earlier incarnation of the
// server: one that came back empty, or a replica that lags behind, would
// otherwise answer a truthful zero in the middle of an outage.
//
// It returns there, the value without what arrives, raised in the same way.
func (d *Decision) raiseAfterRestart(spec Spec, seen *backlog.Observation, there float64, now time.Time) float64 {
	next := &seen.Latest
	for i := len(seen.Past) - 1; i >= 0; i-- {
		past := &seen.Past[i]
		end := past.At.Add(spec.MaxStaleness)
		if !end.After(now) {
			break
		}
		if past.Epoch != next.Epoch {
			if v := d.past(spec, &seen.Latest, past, complete); v > d.Value {
				d.change(Restarted, v)
				d.changesAt(end)
			}
			there = max(there, d.past(spec, &seen.Latest, past, aged))
		}
		next = past
	}
	return there
}

// hold applies the largest value that was seen within the hold window.
func (d *Decision) hold(spec Spec, seen *backlog.Observation, now time.Time) {
	largest, until := d.Value, time.Time{}
	for i := len(seen.Past) - 1; i >= 0; i-- {
		past := &seen.Past[i]
		end := past.At.Add(spec.Hold)
		if !end.After(now) {
			break
		}
		if v := d.past(spec, &seen.Latest, past, complete); v > largest {
			largest, until = v, end
		}
	}
	if largest > d.Value {
		d.change(Held, largest)
		d.changesAt(until)
	}
}

// activate says whether there should be any replica.
//
// Work in flight keeps its worker whatever counts and whatever the activation is. A
// queue whose counters move without its ever showing work is in use: somebody takes each
// message at once. With an activation above zero that says nothing, for there some work may
// wait without a worker, and move them.
//
// there is the value before the hold, which has a window of its own. What arrives is
// part of it while it goes on arriving, which the fast estimate tells: the slow one
// remembers a burst for a whole window.
func (d *Decision) activate(spec Spec, seen *backlog.Observation, there float64, now time.Time) {
	d.Active = there > spec.Activation
	if d.Active {
		return
	}
	if inFlight(&seen.Latest) > 0 {
		d.Active = true
		d.note(Working)
		return
	}
	if until := d.lastWork(spec, seen, now); until.After(now) {
		d.Active = true
		if d.Value <= spec.Activation {
			d.note(HeldActive)
		}
		d.changesAt(until)
		return
	}
	until := seen.LastTraffic.Add(spec.HoldActive)
	if spec.Activation == 0 && !seen.Latest.Paused && until.After(now) {
		d.Active = true
		d.note(Receiving)
		d.changesAt(until)
	}
}

// rateStep is how often a rate is worth looking at.
const rateStep = time.Second

// lasting is the stage up to which a value keeps a trigger active.
func (d *Decision) lasting() stage {
	if d.Drain.Fast > 0 {
		return complete
	}
	return aged
}

// lastWork is until when the trigger stays active because of work in the past; zero if
// there was not enough.
func (d *Decision) lastWork(spec Spec, seen *backlog.Observation, now time.Time) time.Time {
	for i := len(seen.Past) - 1; i >= 0; i-- {
		past := &seen.Past[i]
		end := past.At.Add(spec.HoldActive)
		if !end.After(now) {
			break
		}
		if inFlight(past) > 0 || d.past(spec, &seen.Latest, past, d.lasting()) > spec.Activation {
			return end
		}
	}
	return time.Time{}
}

// settle keeps a decision back that might be a shrink: right after the program
// started nobody knows what was seen, and told, within the windows before.
func (d *Decision) settle(spec Spec, seen *backlog.Observation, now time.Time) error {
	if !seen.AfterStart {
		return nil
	}
	if end := seen.Since.Add(spec.Hold); end.After(now) {
		first := d.Value
		if len(seen.Past) > 0 {
			first = d.past(spec, &seen.Latest, &seen.Past[0], complete)
		}
		if d.Value <= first {
			return d.settling(end, now, fmt.Sprintf("a hold of %s, and nothing above the first %v messages was seen", spec.Hold, first))
		}
	}
	if end := seen.Since.Add(spec.HoldActive); end.After(now) && !d.Active {
		return d.settling(end, now, fmt.Sprintf("a holdActive of %s, and no work was seen", spec.HoldActive))
	}
	return nil
}

func (d *Decision) settling(end, now time.Time, why string) error {
	d.note(Settling)
	d.changesAt(end)
	return fmt.Errorf("%w: for %s more there is no full window for %s", ErrSettling, end.Sub(now).Round(time.Second), why)
}
