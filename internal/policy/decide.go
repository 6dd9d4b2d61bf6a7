package policy

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/schedule"
)

// The reasons why there is no decision. KEDA then holds the replicas.
var (
	// ErrUnknown is a signal without a value that is fresh enough, whose policy says Hold.
	ErrUnknown = errors.New("signal unknown")
	// ErrFormula is a formula without a finite result.
	ErrFormula = errors.New("formula has no result")
)

// A Decision is how many replicas a workload has, and why.
type Decision struct {
	// Replicas is the number that is reported to KEDA with target 1. It has no meaning next to
	// an error.
	Replicas int32
	// Active reports whether the workload has any replica. It stays true while replicas fall in
	// steps or a pod is busy, because KEDA deletes all pods of an inactive workload at once:
	// https://github.com/kedacore/keda/blob/v2.21.0/pkg/scaling/executor/scale_scaledobjects.go
	Active bool
	// Wanted is what signals and schedules want, within the bounds of the policy, before
	// limiters, steps and busy pods.
	Wanted int32
	// Demand is what the signals want; zero without signals.
	Demand Demand
	// Falling reports that fewer replicas than the current ones were decided before busy pods
	// were spared. The pods that are to be deleted first have to be marked then.
	Falling bool
	// Floor and Ceiling are the bounds of the replicas: those of schedules within those of the
	// policy, and lowered by limiters.
	Floor, Ceiling int32
	// Schedule is the state of the windows.
	Schedule schedule.State
	// Signals are what counts of each signal, in the order of the policy.
	Signals []SignalState
	// Steps are the adjustments, in order. A step is present only if it changed the number,
	// stops a change or limits how reliable the number is.
	Steps []Step
	// Until is when the decision may change without any new input; zero if time alone changes
	// nothing.
	Until time.Time
	// State is what the next decision has to be given. It is set next to an error, too.
	State State
}

// A Demand is what the signals of a policy want.
type Demand struct {
	// Reason is ReasonFormula, ReasonNeed or ReasonCurrent; empty if there is no demand.
	Reason Reason
	// Signal is the one with the largest need; empty for a formula.
	Signal string
	// Replicas is the result before it is rounded up.
	Replicas float64
}

// A Step is one adjustment of the number of replicas.
type Step struct {
	Reason Reason
	// Name is that of the signal, window or limiter; empty if there is none.
	Name          string
	Before, After int32
}

// Why returns what decides the number: the name of the signal, window or limiter of the last
// step that changed it, else the reason of that step; empty if no step changed it.
func (d *Decision) Why() string {
	why := ""
	for _, step := range d.Steps {
		if step.Before != step.After {
			why = cmp.Or(step.Name, string(step.Reason))
		}
	}
	return why
}

// Decide decides from an input. The error wraps ErrUnknown or ErrFormula. Unknown is never
// zero: there is no number of replicas then, but a state to keep.
//
// Worked example: 90 messages with target 20 need 5 replicas. A window has a floor of 8, so 8
// are wanted. 4 are current, and a step adds 2: the answer is 6.
func (p *Policy) Decide(in Input, now time.Time) (Decision, error) {
	m := maker{Decision: Decision{State: in.State}, policy: p, target: &in.Target, now: now}
	m.observe()
	m.scheduled()
	if err := m.read(in.Signals); err != nil {
		return m.Decision, err
	}
	if m.target.Paused {
		m.pause()
		return m.Decision, nil
	}
	if err := m.demand(); err != nil {
		return m.Decision, err
	}
	m.adjust(ReasonHold, "", m.atLeastHeld())
	m.adjust(ReasonFloor, m.Schedule.Floor.Window, m.atLeastFloor())
	m.adjust(ReasonCeiling, m.Schedule.Ceiling.Window, m.atMostCeiling())
	m.adjust(ReasonMinReplicas, "", max(m.Replicas, p.spec.MinReplicas))
	m.adjust(ReasonMaxReplicas, "", min(m.Replicas, p.spec.MaxReplicas))
	m.Wanted = m.Replicas
	m.limit()
	m.stepUp()
	m.stepDown()
	m.spareBusy()
	m.adjust(ReasonMaxReplicas, "", min(m.Replicas, p.spec.MaxReplicas))
	m.finish()
	return m.Decision, nil
}

// A maker makes one decision. Its adjustments run in the order of Decide.
type maker struct {
	Decision

	policy *Policy
	target *Target
	now    time.Time
	// values are what expressions may use.
	values map[string]float64
	// unknown are the signals that are left out.
	unknown map[string]bool
	// sparing reports that busy pods keep the workload active.
	sparing bool
}

// adjust sets the number and adds a step if that changes it.
func (m *maker) adjust(reason Reason, name string, replicas int32) {
	if replicas != m.Replicas {
		m.Steps = append(m.Steps, Step{reason, name, m.Replicas, replicas})
		m.Replicas = replicas
	}
}

// note adds a step that leaves the number unchanged.
func (m *maker) note(reason Reason, name string) {
	m.Steps = append(m.Steps, Step{reason, name, m.Replicas, m.Replicas})
}

// changesAt notes that the decision may change at t.
func (m *maker) changesAt(t time.Time) {
	if t.After(m.now) && (m.Until.IsZero() || t.Before(m.Until)) {
		m.Until = t
	}
}

// finish decides on activity and completes the state.
func (m *maker) finish() {
	m.State.At = m.now
	m.Active = m.Replicas > 0 || m.sparing || m.leavesToHPA()
}

// pause reports the current replicas. The state has no decision of that time, so that replicas
// do not fall for the time of a hold when the pause ends.
func (m *maker) pause() {
	m.adjust(ReasonPaused, "", m.target.Replicas)
	m.adjust(ReasonMaxReplicas, "", min(m.Replicas, m.policy.spec.MaxReplicas))
	m.Wanted, m.Active = m.Replicas, m.Replicas > 0
}

// scheduled notes the windows and the bounds of the replicas. minReplicas is stronger than a
// ceiling, and a ceiling is stronger than a floor.
func (m *maker) scheduled() {
	spec := &m.policy.spec
	m.Schedule = m.policy.schedule.Refresh(m.State.Windows, m.now)
	m.State.Windows = m.Schedule
	m.changesAt(m.Schedule.Until)
	m.Ceiling = spec.MaxReplicas
	if m.Schedule.Ceiling.Set() {
		m.Ceiling = max(min(m.Ceiling, m.Schedule.Ceiling.Replicas), spec.MinReplicas)
	}
	m.Floor = min(max(spec.MinReplicas, m.Schedule.Floor.Replicas), m.Ceiling)
}

func (m *maker) atLeastFloor() int32 {
	if !m.Schedule.Floor.Set() {
		return m.Replicas
	}
	return max(m.Replicas, m.Schedule.Floor.Replicas)
}

func (m *maker) atMostCeiling() int32 {
	if !m.Schedule.Ceiling.Set() {
		return m.Replicas
	}
	return min(m.Replicas, m.Schedule.Ceiling.Replicas)
}

// unknownError is the error of signals that hold.
func unknownError(name string, seen *Observation, now time.Time) error {
	switch {
	case seen.At.IsZero() && seen.Err == nil:
		return fmt.Errorf("%w: %s: not read yet", ErrUnknown, name)
	case seen.At.IsZero():
		return fmt.Errorf("%w: %s: %w", ErrUnknown, name, seen.Err)
	case seen.Err == nil:
		return fmt.Errorf("%w: %s: not a finite number", ErrUnknown, name)
	default:
		return fmt.Errorf("%w: %s: last read %s ago: %w", ErrUnknown, name, now.Sub(seen.At).Round(time.Second), seen.Err)
	}
}
