package policy

import "time"

// A Pending is what a decision waits for, and until when. What it does not wait for is zero.
type Pending struct {
	// Step is a step up that replicas have not completed.
	Step LastStep
	// Period is when the period after the last change of the replicas ends.
	Period time.Time
	// Required is how many replicas have to be available before the next step up. Waiting is
	// since when growth waits for them, and StuckAt when it is reported as stuck; zero is never.
	Required         int32
	Waiting, StuckAt time.Time
	// Held is the larger number that still counts, and HeldUntil until when.
	Held      Wanted
	HeldUntil time.Time
	// Sparing is since when busy pods delay a fall, and GiveUpAt when they no longer do; zero is
	// never.
	Sparing, GiveUpAt time.Time
}

// Pending returns what a decision on p waits for. target is the workload that it was made with.
//
// Worked example: 40 % of 10 replicas are available, 80 % are required, and the replicas changed
// 3 minutes ago: growth waits for 8 available ones since then, and with a stuckAfter of 10
// minutes it is stuck in 7.
func (p *Policy) Pending(d *Decision, target *Target) Pending {
	w := Pending{Step: d.State.Step, Sparing: d.State.Sparing}
	changed := later(d.State.Changed, target.LastScale)
	for _, step := range d.Steps {
		switch step.Reason {
		case ReasonHold:
			w.hold(p.spec.Down, d.State.Held)
		case ReasonPeriod:
			w.Period = changed.Add(p.period(step))
		case ReasonNotReady:
			w.ready(p.spec.Up, target.Replicas, d.State.Waiting)
		default:
		}
	}
	if busy := p.spec.Busy; busy != nil && busy.GiveUpAfter > 0 && !w.Sparing.IsZero() {
		w.GiveUpAt = w.Sparing.Add(busy.GiveUpAfter)
	}
	return w
}

// hold notes the largest number of a hold.
func (w *Pending) hold(down *StepDown, held []Wanted) {
	if down != nil && len(held) > 0 {
		w.Held, w.HeldUntil = held[0], held[0].At.Add(down.Hold)
	}
}

// ready notes the replicas that the next step up waits for.
func (w *Pending) ready(up *StepUp, current int32, since time.Time) {
	if up == nil {
		return
	}
	w.Required = clamp((int64(current)*int64(up.ReadyPercent) + 99) / 100)
	w.Waiting = since
	if up.StuckAfter > 0 && !since.IsZero() {
		w.StuckAt = since.Add(up.StuckAfter)
	}
}

// period returns the period that a step waits for: that of a step up if it keeps replicas from
// rising.
func (p *Policy) period(step Step) time.Duration {
	switch up, down := p.spec.Up, p.spec.Down; {
	case step.After < step.Before && up != nil:
		return up.Period
	case step.After > step.Before && down != nil:
		return down.Period
	default:
		return 0
	}
}
