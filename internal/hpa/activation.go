package hpa

import "time"

// KEDA's defaults (apis/keda/v1alpha1 and pkg/scaling/executor/scale_executor.go:35-39).
const (
	// PollingInterval is how often KEDA asks a scaler by itself.
	PollingInterval = 30 * time.Second
	// DefaultCooldown is how long a ScaledObject stays up after it was last active.
	DefaultCooldown = 5 * time.Minute
	// DefaultMax is the largest number of replicas.
	DefaultMax = 100
)

// A ScaledObject says when KEDA takes the step between zero and one. It has no
// fallback.
type ScaledObject struct {
	// Min may be zero. Max is more than Min.
	Min, Max int32
	// Idle is how many replicas there are while nothing is active, less than Min; nil
	// if it is not set.
	Idle *int32
	// Cooldown is how long it stays up after it was last active, and InitialCooldown
	// how long after Created, if it never was.
	Cooldown, InitialCooldown time.Duration
	Created                   time.Time
	// Behavior is for the HorizontalPodAutoscaler.
	Behavior *Behavior
}

// Spec is that of the HorizontalPodAutoscaler which KEDA makes. It never goes below 1.
func (o ScaledObject) Spec() Spec {
	return Spec{Min: max(o.Min, 1), Max: o.Max, Behavior: o.Behavior}
}

// An Activation is KEDA's own part in scaling one ScaledObject, with what it
// remembers. It is not safe for concurrent use.
type Activation struct {
	object ScaledObject
	// lastActive is zero until a trigger was active.
	lastActive time.Time
}

// NewActivation returns an Activation of an object that was never active.
func NewActivation(object ScaledObject) *Activation { return &Activation{object: object} }

// A Step is what KEDA does after one look.
type Step struct {
	// Replicas is what the workload is scaled to; the present number if nothing changes.
	Replicas int32
	Reason   StepReason
}

// A StepReason says why a Step is what it is.
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
	// Held is a workload whose triggers could not be asked.
	Held
	// Raised is an inactive workload that had fewer replicas than Min.
	Raised
	// Ignored is a push that says nothing is active: only a poll deactivates.
	Ignored
)

func (r StepReason) String() string {
	return [...]string{
		"nothing to do", "activated", "cooling down", "deactivated",
		"held: a trigger failed", "raised to the minimum", "ignored",
	}[r]
}

// Push is one message of StreamIsActive (pkg/scaling/scale_handler.go:319-379). A
// workload that is up already is not scaled by it, but its cooldown begins anew.
func (a *Activation) Push(now time.Time, current int32, active bool) Step {
	if !active {
		return Step{Replicas: current, Reason: Ignored}
	}
	return a.request(now, current, true, false)
}

// Poll is one look at all triggers, each PollingInterval
// (pkg/scaling/executor/scale_scaledobjects.go:37-128). active says that one of them
// is active, and failed that one of them could not be asked.
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

// touch notes that a trigger was active. KEDA keeps the time in the status of the
// ScaledObject, which has whole seconds.
func (a *Activation) touch(now time.Time) { a.lastActive = now.Truncate(time.Second) }

// cooledDown tells whether the object was inactive for long enough.
func (a *Activation) cooledDown(now time.Time) bool {
	if a.lastActive.IsZero() {
		return a.object.Created.Add(a.object.InitialCooldown).Before(now)
	}
	return a.lastActive.Add(a.object.Cooldown).Before(now)
}
