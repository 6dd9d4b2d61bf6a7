package policy

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/formula"
)

// rounding is the part of a number by which it may miss a whole one: 0.3 / 0.1 is not quite 3.
const rounding = 1e-9

// A SignalState is what counts of one signal.
type SignalState struct {
	Name string
	// Value counts unless the signal is Holding or Ignored.
	Value float64
	// Need is Value by the target; zero without one.
	Need float64
	// At is when the last good value was current; zero if there was none.
	At    time.Time
	State Knowledge
	// Err is why the signal cannot be read now; nil if it can.
	Err error
}

// Knowledge is how well a signal is known.
type Knowledge string

// How well a signal is known.
const (
	// Known: the last read succeeded.
	Known Knowledge = "Known"
	// Stale: the last good value counts, for maxStaleness.
	Stale Knowledge = "Stale"
	// Holding: there is no decision, or there would be none if the policy used the signal.
	Holding Knowledge = "Holding"
	// Ignored: the signal is left out.
	Ignored Knowledge = "Ignored"
	// Replaced: the value of the policy counts.
	Replaced Knowledge = "Replaced"
)

// read notes what is known of each signal. The error has every signal that holds.
func (m *maker) read(signals map[string]Observation) error {
	spec := &m.policy.spec
	m.values = map[string]float64{formula.Current: float64(m.target.Replicas), formula.Ready: float64(m.target.Available)}
	m.unknown = make(map[string]bool)
	m.Signals = make([]SignalState, 0, len(spec.Signals))
	var errs []error
	for i := range spec.Signals {
		s := &spec.Signals[i]
		seen := signals[s.Name]
		state := m.knowledge(s, &seen)
		if m.policy.required[s.Name] {
			errs = append(errs, m.require(s, &seen, &state))
		}
		m.Signals = append(m.Signals, state)
	}
	return errors.Join(errs...)
}

// knowledge returns what counts of a signal.
func (m *maker) knowledge(s *Signal, seen *Observation) SignalState {
	state := SignalState{Name: s.Name, Value: seen.Value, At: seen.At, Err: seen.Err}
	target := s.Target
	if s.OwnTarget {
		target = seen.Target
	}
	stale := seen.At.Add(s.MaxStaleness)
	switch usable := seen.usable(s.needed(), target); {
	case usable && seen.Err == nil:
		state.State = Known
	case usable && m.now.Before(stale):
		state.State = Stale
		m.changesAt(stale)
	case s.WhenUnknown == UseValue:
		state.State, state.Value, target = Replaced, s.Value, s.Target
	case s.WhenUnknown == Ignore:
		state.State, state.Value = Ignored, 0
		return state
	default:
		state.State, state.Value = Holding, 0
		return state
	}
	if s.needed() {
		state.Need = state.Value / target
	}
	return state
}

// usable reports whether there was a good value. One without the target that it needs cannot have
// been.
func (o *Observation) usable(needed bool, target float64) bool {
	return !o.At.IsZero() && finite(o.Value) && (!needed || target > 0 && finite(target))
}

// require notes the value of a signal that the policy needs; an error if it holds.
func (m *maker) require(s *Signal, seen *Observation, state *SignalState) error {
	switch state.State {
	case Holding:
		return unknownError(s.Name, seen, m.now)
	case Ignored:
		m.note(ReasonIgnored, s.Name)
		m.unknown[s.Name] = true
		return nil
	case Replaced:
		m.note(ReasonValue, s.Name)
	case Stale:
		m.note(ReasonStale, s.Name)
	case Known:
	}
	m.values[s.Name] = state.Value
	if s.needed() {
		m.values[formula.Need(s.Name)] = state.Need
	}
	return nil
}

// demand sets the replicas that the signals want.
func (m *maker) demand() error {
	p := m.policy
	switch {
	case p.formula != nil && m.evaluable(p.formula.Uses()):
		value, err := p.formula.Evaluate(m.values)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrFormula, err)
		}
		m.Demand = Demand{Reason: ReasonFormula, Replicas: value}
		m.adjust(ReasonFormula, "", replicas(value))
	case p.formula != nil || slices.ContainsFunc(p.spec.Signals, func(s Signal) bool { return s.needed() }):
		m.largestNeed()
	}
	return nil
}

// evaluable reports whether an expression uses no signal that is left out.
func (m *maker) evaluable(uses []string) bool {
	return !slices.ContainsFunc(uses, func(name string) bool { return m.unknown[signalOf(name)] })
}

// largestNeed sets the largest need of the signals that are known, else the current replicas. Of
// equal needs the first by name is the reason.
func (m *maker) largestNeed() {
	found, name, most, need := false, "", int32(0), 0.0
	for i := range m.Signals {
		s := &m.Signals[i]
		if !m.policy.spec.Signals[i].needed() || s.State == Holding || s.State == Ignored {
			continue
		}
		wanted := replicas(s.Need)
		if !found || wanted > most || wanted == most && s.Name < name {
			found, name, most, need = true, s.Name, wanted, s.Need
		}
	}
	if found {
		m.Demand = Demand{Reason: ReasonNeed, Signal: name, Replicas: need}
		m.adjust(ReasonNeed, name, most)
		return
	}
	m.Demand = Demand{Reason: ReasonCurrent, Replicas: float64(m.target.Replicas)}
	m.adjust(ReasonCurrent, "", m.target.Replicas)
}

// replicas rounds a finite number up to whole replicas; 0 for a negative one.
func replicas(value float64) int32 { return bounded(math.Ceil(value - math.Abs(value)*rounding)) }

// atMost rounds a finite number down to whole replicas; 0 for a negative one.
func atMost(value float64) int32 { return bounded(math.Floor(value + math.Abs(value)*rounding)) }

func bounded(value float64) int32 { return int32(min(max(value, 0), math.MaxInt32)) }
