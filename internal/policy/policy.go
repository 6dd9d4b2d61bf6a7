// Package policy decides how many replicas a workload has: from what is known of signals, from
// windows of time, and from the state of the workload. It is pure: the same policy, input and
// time always give the same decision. What has to be remembered from one decision to the next
// is a value that the caller keeps.
//
// The scaler reports the decided number to KEDA with target 1, so the HorizontalPodAutoscaler
// sets exactly that number of replicas.
package policy

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/formula"
	"github.com/backlog-scaler/backlog-scaler/internal/schedule"
)

// A Policy is a Spec that was parsed and checked. It is immutable and safe for concurrent use.
type Policy struct {
	spec     Spec
	schedule schedule.Schedule
	// formula is nil if the largest need counts.
	formula  *formula.Formula
	limiters []limiter
	// required are the signals whose values the policy needs, by name.
	required map[string]bool
}

// New compiles a policy. The error has every mistake, see Mistakes: the field, its value, what is allowed, and
// the nearest right name.
func New(spec Spec) (*Policy, error) {
	p := &Policy{spec: spec, required: make(map[string]bool)}
	var found mistakes
	found.add(PartSpec, checkReplicas(&spec))
	found.add(PartSignal, checkSignals(spec.Signals))
	found.add(PartSpec, checkSteps(&spec))
	var err error
	p.schedule, err = schedule.Parse(spec.Schedules)
	found.add(PartSchedule, err)
	names := p.names()
	if spec.Formula != "" {
		if p.formula, err = formula.Compile(spec.Formula, names); err != nil {
			found.add(PartFormula, fmt.Errorf("formula: %w", err))
		}
	}
	found.add(PartFormula, p.compileLimiters(names))
	if err := errors.Join(found...); err != nil {
		return nil, err
	}
	p.require()
	return p, nil
}

// Schedule returns the windows of the policy.
func (p *Policy) Schedule() schedule.Schedule { return p.schedule }

// names are those that expressions may use.
func (p *Policy) names() []string {
	var names []string
	for i := range p.spec.Signals {
		names = append(names, p.spec.Signals[i].Name)
	}
	for i := range p.spec.Signals {
		if s := &p.spec.Signals[i]; s.needed() {
			names = append(names, formula.Need(s.Name))
		}
	}
	return append(names, formula.Current, formula.Ready)
}

// require notes the signals without whose values there is no decision: those that expressions
// use, and without a formula those with a need.
func (p *Policy) require() {
	for _, l := range p.limiters {
		p.use(l.uses)
	}
	if p.formula != nil {
		p.use(p.formula.Uses())
		return
	}
	for i := range p.spec.Signals {
		if s := &p.spec.Signals[i]; s.needed() {
			p.required[s.Name] = true
		}
	}
}

func (p *Policy) use(names []string) {
	for _, name := range names {
		p.required[signalOf(name)] = true
	}
}

// signalOf returns the signal that a name in an expression stands for.
func signalOf(name string) string { return strings.TrimPrefix(name, formula.Need("")) }

func checkReplicas(spec *Spec) error {
	var mistakes []error
	if spec.MinReplicas < 0 {
		mistakes = append(mistakes, fmt.Errorf("minReplicas %d: want 0 or more", spec.MinReplicas))
	}
	switch {
	case spec.MaxReplicas < 1:
		mistakes = append(mistakes, fmt.Errorf("maxReplicas %d: want 1 or more", spec.MaxReplicas))
	case spec.MinReplicas > spec.MaxReplicas:
		mistakes = append(mistakes, fmt.Errorf("minReplicas %d: want at most maxReplicas, %d", spec.MinReplicas, spec.MaxReplicas))
	}
	switch {
	case len(spec.Signals) == 0 && len(spec.Schedules) == 0:
		mistakes = append(mistakes, errors.New("signals: missing, want a signal or a schedule"))
	case spec.Formula != "" || len(spec.Signals) == 0 || len(spec.Limiters) > 0:
	case !slices.ContainsFunc(spec.Signals, func(s Signal) bool { return s.needed() }):
		mistakes = append(mistakes, errors.New("formula: missing, want one, or a signal with a target"))
	}
	return errors.Join(mistakes...)
}

func checkSignals(signals []Signal) error {
	if len(signals) > MaxSignals {
		return fmt.Errorf("%d signals, want at most %d", len(signals), MaxSignals)
	}
	var errs []error
	for i := range signals {
		s := &signals[i]
		mistakes := s.check()
		if s.Name != "" && slices.ContainsFunc(signals[:i], func(other Signal) bool { return other.Name == s.Name }) {
			mistakes = append(mistakes, errors.New("name: an earlier signal has the same name, want another"))
		}
		errs = append(errs, within("signal", s.Name, mistakes)...)
	}
	return errors.Join(errs...)
}

// within says of each mistake which element of a list it is in.
func within(kind, name string, mistakes []error) []error {
	named := make([]error, 0, len(mistakes))
	for _, mistake := range mistakes {
		named = append(named, fmt.Errorf("%s %q: %w", kind, name, mistake))
	}
	return named
}

// check returns every mistake in a signal.
func (s *Signal) check() []error {
	var mistakes []error
	if err := formula.CheckName(s.Name); err != nil {
		mistakes = append(mistakes, err)
	}
	if !finite(s.Target) || s.Target < 0 {
		mistakes = append(mistakes, fmt.Errorf("target %v: want a positive number", s.Target))
	}
	if s.MaxStaleness <= 0 {
		mistakes = append(mistakes, fmt.Errorf("maxStaleness %s: want more than 0s, such as 2m", s.MaxStaleness))
	}
	switch {
	case s.WhenUnknown > UseValue:
		mistakes = append(mistakes, fmt.Errorf("whenUnknown %d: want Hold, Ignore or Value", s.WhenUnknown))
	case s.WhenUnknown == UseValue && s.OwnTarget && s.Target == 0:
		mistakes = append(mistakes, errors.New("target: missing, want one for the value that stands for an unknown signal"))
	}
	if !finite(s.Value) {
		mistakes = append(mistakes, fmt.Errorf("value %v: want a finite number", s.Value))
	}
	return mistakes
}

func finite(value float64) bool { return !math.IsNaN(value) && !math.IsInf(value, 0) }

// checkSteps checks steps and busy pods.
func checkSteps(spec *Spec) error {
	var errs []error
	if up := spec.Up; up != nil {
		errs = append(errs, checkStep("steps.up", up.Pods, up.Percent, true), checkNotNegative("steps.up.first", int64(up.First)),
			checkNotNegative("steps.up.period", int64(up.Period)), checkNotNegative("steps.up.stuckAfter", int64(up.StuckAfter)))
		if up.ReadyPercent < 0 || up.ReadyPercent > 100 {
			errs = append(errs, fmt.Errorf("steps.up.readyPercent %d: want 0 to 100", up.ReadyPercent))
		}
	}
	if down := spec.Down; down != nil {
		errs = append(errs, checkStep("steps.down", down.Pods, down.Percent, false),
			checkNotNegative("steps.down.period", int64(down.Period)), checkNotNegative("steps.down.hold", int64(down.Hold)))
	}
	if busy := spec.Busy; busy != nil {
		errs = append(errs, checkNotNegative("busyPods.giveUpAfter", int64(busy.GiveUpAfter)))
		if busy.Keep > Strict {
			errs = append(errs, fmt.Errorf("busyPods.keep %d: want Prefer or Strict", busy.Keep))
		}
	}
	return errors.Join(errs...)
}

func checkStep(field string, pods, percent int32, required bool) error {
	if required && pods == 0 && percent == 0 {
		return fmt.Errorf("%s: no size, want pods, percent or both", field)
	}
	return errors.Join(checkNotNegative(field+".pods", int64(pods)), checkNotNegative(field+".percent", int64(percent)))
}

func checkNotNegative(field string, value int64) error {
	if value < 0 {
		return fmt.Errorf("%s: negative, want 0 or more", field)
	}
	return nil
}
