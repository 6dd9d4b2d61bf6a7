package policy

import (
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/schedule"
)

// An Input is what a decision is made from.
type Input struct {
	// Signals are what is known of the signals, by name. One that is missing is unknown.
	Signals map[string]Observation
	Target  Target
	// State is that of the last decision; zero for the first.
	State State
}

// An Observation is what is known of a signal.
type Observation struct {
	// Value is the last good value; At is when it was current, zero if there was none.
	Value float64
	At    time.Time
	// Target is the value for one replica, for a signal with OwnTarget: positive.
	Target float64
	// Err is why the signal cannot be read now; nil if it can.
	Err error
}

// A Target is the workload.
type Target struct {
	// Replicas is the number that the workload asks for: spec.replicas.
	Replicas int32
	// Available is the number of replicas that have been ready for minReadySeconds.
	Available int32
	// LastScale is when Replicas was last changed, as the status of the policy has it; zero if
	// that is unknown. A later change that the state has seen counts in its place.
	LastScale time.Time
	// Paused reports that replicas are not to change.
	Paused bool
	// Pods are those of the workload, for a policy that spares busy ones.
	Pods Pods
}

// A State is what the next decision has to know of earlier ones. It is immutable. A caller that
// lost it starts with the zero State: replicas then do not fall for the time of a hold.
type State struct {
	// At is when the last decision was made; errors do not count.
	At time.Time
	// Replicas is that of the target then, and Changed when it was last seen to change.
	Replicas int32
	Changed  time.Time
	// Held are the wanted numbers that may still be the largest of a hold, oldest first. Each
	// is smaller than the one before it.
	Held []Wanted
	// Limiters are the active limiters, by name.
	Limiters map[string]ActiveLimiter
	// Windows is the state of the schedule, so that it is not computed for each decision.
	Windows schedule.State
	// Step is a step up that replicas have not completed, and Fall a step down; zero if there is
	// none.
	Step, Fall LastStep
	// Waiting is since when growth waits for available replicas, and Sparing since when busy
	// pods delay a fall; zero if that is not so.
	Waiting, Sparing time.Time
}

// A LastStep is a step that was decided. Replicas may take several changes for it: KEDA always
// begins with one replica, and the HorizontalPodAutoscaler ends with one and has rates of its own.
type LastStep struct {
	From, To int32
	At       time.Time
}

// A Wanted is the number of replicas that signals wanted last at a moment.
type Wanted struct {
	At       time.Time
	Replicas int32
}

// An ActiveLimiter is a limiter whose condition holds, or has not ended yet.
type ActiveLimiter struct {
	Since time.Time
	// Ceiling is that of a limiter that lowers it, computed when it began.
	Ceiling int32
}

// changed returns when the replicas last changed; zero if that is unknown.
func (m *maker) changed() time.Time { return later(m.State.Changed, m.target.LastScale) }

// observe notes a change of the replicas since the last decision.
func (m *maker) observe() {
	if !m.State.At.IsZero() && m.State.Replicas != m.target.Replicas {
		m.State.Changed = m.now
	}
	m.State.Replicas = m.target.Replicas
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}
