package hpa

import "time"

// KEDA's defaults (apis/keda/v1alpha1 and pkg/scaling/executor/scale_executor.go:35-39).
const (
	// PollingInterval is the time between two polls of KEDA.
	PollingInterval = 30 * time.Second
	// DefaultCooldown is how long a ScaledObject stays up after it was last active.
	DefaultCooldown = 5 * time.Minute
	// DefaultMax is the largest number of replicas.
	DefaultMax = 100
)

// A ScaledObject is the configuration of KEDA's steps between zero and one, without a fallback.
type ScaledObject struct {
	// Min may be zero. Max is more than Min.
	Min, Max int32
	// Idle is the number of replicas while nothing is active, less than Min; nil if it is not
	// set.
	Idle *int32
	// Cooldown is how long the workload stays up after it was last active, and
	// InitialCooldown how long after Created, if it never was.
	Cooldown, InitialCooldown time.Duration
	Created                   time.Time
	// Behavior is for the HorizontalPodAutoscaler.
	Behavior *Behavior
}

// Spec returns the Spec of the HorizontalPodAutoscaler that KEDA creates. Its Min is at least 1.
func (o ScaledObject) Spec() Spec {
	return Spec{Min: max(o.Min, 1), Max: o.Max, Behavior: o.Behavior}
}

// An Activation is KEDA's own part in scaling one ScaledObject, with its state. It is not safe
// for concurrent use.
type Activation struct {
	object ScaledObject
	// lastActive is zero until a trigger was active.
	lastActive time.Time
}

// NewActivation returns an Activation of an object that was never active.
func NewActivation(object ScaledObject) *Activation { return &Activation{object: object} }

// A Step is what KEDA does after one poll or push.
type Step struct {
	// Replicas is what the workload is scaled to; the current number if nothing changes.
	Replicas int32
	Reason   StepReason
}

// A StepReason is why a Step is what it is.
type StepReason uint8

// The reasons of a step.
const (
	// Nothing is to be done: the HorizontalPodAutoscaler does the rest.
	Nothing StepReason = iota
	// Activated is the step from zero or idle, to Min or 1.
	Activated
	// CoolingDown is an inactive workload that is not yet scaled down.
	CoolingDown
	// Deactivated is the step to zero or idle, from any number.
	Deactivated
	// Held is a workload with a trigger that failed.
	Held
	// Raised is an inactive workload that had fewer replicas than Min.
	Raised
	// Ignored is a push of an inactive trigger: only a poll deactivates.
	Ignored
)

func (r StepReason) String() string {
	return [...]string{
		"nothing to do", "activated", "cooling down", "deactivated",
		"held: a trigger failed", "raised to the minimum", "ignored",
	}[r]
}

// Push is one message of StreamIsActive (pkg/scaling/scale_handler.go:319-379). A
// workload that is up already is not scaled by it, but its cooldown restarts.
//
// The current number is what KEDA's cache shows, which may be older than the workload. KEDA
// writes the number of a step without looking at it again
// (pkg/scaling/executor/scale_scaledobjects.go:310-328), so it writes 1 over the 40 that another
// client has written since. After an outage of the API server the cache is older for up to a
// minute, and KEDA repeats that at each poll.
func (a *Activation) Push(now time.Time, current int32, active bool) Step {
	if !active {
		return Step{Replicas: current, Reason: Ignored}
	}
	return a.request(now, current, true, false)
}

// Poll is one poll of all triggers, each PollingInterval
// (pkg/scaling/executor/scale_scaledobjects.go:37-128). active reports that one of
// them is active, and failed that one of them failed.
//
// A failure is not inactivity: nothing is scaled down on it. But while one trigger
// fails, another that is active does not restart the cooldown either.
func (a *Activation) Poll(now time.Time, current int32, active, failed bool) Step {
	return a.request(now, current, active, failed)
}

func (a *Activation) request(now time.Time, current int32, active, failed bool) Step {
	o := a.object
	switch {
	case active && (current == 0 || o.Idle != nil && current < o.Min):
		a.touch(now)
		return Step{Replicas: max(o.Min, 1), Reason: Activated}
	case active:
		if !failed {
			a.touch(now)
		}
		return Step{Replicas: current}
	case failed:
		return Step{Replicas: current, Reason: Held}
	case o.Idle != nil && current > *o.Idle, current > 0 && o.Min == 0:
		if !a.cooledDown(now) {
			return Step{Replicas: current, Reason: CoolingDown}
		}
		if o.Idle != nil {
			return Step{Replicas: *o.Idle, Reason: Deactivated}
		}
		return Step{Replicas: o.Min, Reason: Deactivated}
	case o.Idle == nil && current < o.Min:
		return Step{Replicas: o.Min, Reason: Raised}
	default:
		return Step{Replicas: current}
	}
}

// touch records that a trigger was active. KEDA keeps the time in the status of the
// ScaledObject, which has whole seconds.
func (a *Activation) touch(now time.Time) { a.lastActive = now.Truncate(time.Second) }

// cooledDown reports whether the object was inactive for its cooldown.
func (a *Activation) cooledDown(now time.Time) bool {
	if a.lastActive.IsZero() {
		return a.object.Created.Add(a.object.InitialCooldown).Before(now)
	}
	return a.lastActive.Add(a.object.Cooldown).Before(now)
}
