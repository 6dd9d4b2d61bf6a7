package operator

import (
	"fmt"
	"math"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/policies"
	"github.com/backlog-scaler/backlog-scaler/internal/policy"
)

// A View is how a policy is now.
type View struct {
	// Reading is that of its first signal, if Known is set.
	Reading backlog.Reading
	Known   bool
	// Active reports that the policy wants at least one replica.
	Active bool
	// Window says what a window of the schedule does now, or when the next one opens; empty if there is none.
	Window string
}

// Look returns how a policy is now. What is not known yet is empty.
func (o *Operator) Look(key policies.Key, now time.Time) View {
	var view View
	x, found := o.runner.Explain(key)
	if !found {
		return view
	}
	if len(x.Signals) > 0 {
		seen := x.Signals[0].Observation
		view.Reading, view.Known = seen.Latest, seen.Known() && seen.Err == nil
	}
	if x.Read() {
		d := &x.Outcome.Decision
		view.Active, view.Window = x.Outcome.Decided() && d.Active, window(d, now)
	}
	return view
}

// window returns the floor of an open window, and the next edge: "even-minutes: at least 3, closes in 42 s".
func window(d *policy.Decision, now time.Time) string {
	s := &d.Schedule
	switch edge := s.Next; {
	case s.Floor.Set() && edge.Window != "":
		return fmt.Sprintf("%s: at least %d, %s", s.Floor.Window, d.Floor, when(d, now))
	case s.Floor.Set():
		return fmt.Sprintf("%s: at least %d", s.Floor.Window, d.Floor)
	case edge.Window != "":
		return edge.Window + " " + when(d, now)
	default:
		return ""
	}
}

// when returns what the next edge does, and when: "closes in 42 s".
func when(d *policy.Decision, now time.Time) string {
	verb := "closes"
	if d.Schedule.Next.Opens {
		verb = "opens"
	}
	return fmt.Sprintf("%s in %d s", verb, int64(math.Ceil(max(0, d.Schedule.Next.At.Sub(now)).Seconds())))
}

// next returns the next edge as the end of a sentence about a window; empty if there is none.
func next(d *policy.Decision, window string, now time.Time) string {
	switch d.Schedule.Next.Window {
	case "":
		return ""
	case window:
		return "; it " + when(d, now)
	default:
		return "; " + d.Schedule.Next.Window + " " + when(d, now)
	}
}
