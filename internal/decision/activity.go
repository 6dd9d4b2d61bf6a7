package decision

import (
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// rateStep is how soon a decision is made again while a rate falls without new readings.
const rateStep = time.Second

// decideActivity decides whether the workload should have any replica.
//
// The activation value excludes the hold, which has a window of its own. Arrivals are part
// of it while they go on, by the fast estimate: the slow one remembers a burst for a whole
// window.
//
// Work in flight keeps its worker whatever counts and whatever the activation is. A queue
// whose counters move although no reading finds work is in use: a worker takes each message
// at once. With an activation above zero that proves nothing, because some work may wait
// there without a worker and move the counters.
func (m *maker) decideActivity(spec *Spec, seen *backlog.Observation, now time.Time) {
	m.Active = true
	switch {
	case m.activationValue > spec.Activation:
	case inFlight(&seen.Latest) > 0:
		m.note(ReasonInFlight)
	case m.keptBy(m.lastWork(spec, seen, now), now, m.Value <= spec.Activation, ReasonHoldActive):
	case spec.Activation == 0 && !seen.Latest.Paused && m.keptBy(seen.LastTraffic.Add(spec.HoldActive), now, true, ReasonCounterMoved):
	default:
		m.Active = false
	}
	if m.Active && m.valueBeforeHold > spec.Activation && m.arriving() {
		// The rate falls without a new reading.
		m.changesAt(now.Add(rateStep))
	}
}

// keptBy reports whether the trigger stays active until a moment. If so it notes the
// moment and, if the step is to be noted, the reason.
func (m *maker) keptBy(until, now time.Time, noted bool, reason Reason) bool {
	if !until.After(now) {
		return false
	}
	if noted {
		m.note(reason)
	}
	m.changesAt(until)
	return true
}

// lastWork is until when work in the past keeps the trigger active; zero if there was not
// enough.
func (m *maker) lastWork(spec *Spec, seen *backlog.Observation, now time.Time) time.Time {
	for i := len(seen.Past) - 1; i >= 0; i-- {
		past := &seen.Past[i]
		end := past.At.Add(spec.HoldActive)
		if !end.After(now) {
			break
		}
		if inFlight(past) > 0 || m.pastValue(spec, &seen.Latest, past, m.arriving()) > spec.Activation {
			return end
		}
	}
	return time.Time{}
}

// arriving reports whether messages go on arriving, by the fast estimate.
func (m *maker) arriving() bool { return m.Drain.Fast > 0 }
