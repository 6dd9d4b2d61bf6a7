// Package push decides when a stream of the scaler sends KEDA whether a trigger is active. It is
// pure.
package push

import (
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/decision"
)

// The pace of messages on a StreamIsActive.
const (
	// minEdge is the least time between two changes to active.
	minEdge = time.Second
	// firstRepeat and lastRepeat bound the time until "active" is sent again; it doubles
	// each time. KEDA drops a message that comes before it knows the name of the trigger's
	// metric, so one message is not enough. Each one costs KEDA a patch of the ScaledObject,
	// so frequent messages are too many:
	// https://github.com/kedacore/keda/blob/v2.21.0/pkg/scaling/scale_handler.go#L353
	firstRepeat = 2 * time.Second
	lastRepeat  = 5 * time.Minute
)

// An Activity is what a stream has sent so far. Its zero value has sent nothing.
type Activity struct {
	// sentAt is when the last message was sent; zero before the first.
	sentAt time.Time
	active bool
	// lastActive is when "active" was last sent.
	lastActive time.Time
	// repeat is the time from sentAt until "active" is sent again.
	repeat time.Duration
}

// Update reports whether to send the state, and then counts it as sent.
func (a *Activity) Update(active bool, now time.Time) bool {
	edge := a.sentAt.IsZero() || active != a.active
	switch {
	case edge && active && !a.lastActive.IsZero() && now.Sub(a.lastActive) < minEdge:
		return false
	case edge:
		a.repeat = firstRepeat
	case active && now.Sub(a.sentAt) >= a.repeat:
		a.repeat = min(2*a.repeat, lastRepeat)
	default:
		return false
	}
	a.sentAt, a.active = now, active
	if active {
		a.lastActive = now
	}
	return true
}

// Active reports whether the last message said that the trigger is active.
func (a *Activity) Active() bool { return a.active }

// IdleCheck is the longest time between two evaluations of a stream.
const IdleCheck = time.Hour

// Next returns the time until there may be a message to send without a new reading.
func (a *Activity) Next(d decision.Decision, now time.Time) time.Duration {
	wait := IdleCheck
	if !d.Until.IsZero() {
		wait = min(wait, d.Until.Sub(now))
	}
	switch {
	case d.Active && !a.active:
		wait = min(wait, a.lastActive.Add(minEdge).Sub(now))
	case d.Active:
		wait = min(wait, a.sentAt.Add(a.repeat).Sub(now))
	}
	return max(wait, 0)
}
