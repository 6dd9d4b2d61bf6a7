package runner

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/policies"
	"github.com/backlog-scaler/backlog-scaler/internal/policy"
	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

// A compiled is a policy without mistakes.
type compiled struct {
	policy  *policy.Policy
	signals []*signal
	// workers is the signal whose queue shows which pods are busy; nil if none is asked.
	workers *signal
}

// Compile compiles a policy as a Runner with the catalog does, without observing anything. It
// returns every mistake. A policy with mistakes is nil.
func Compile(p policies.Policy, catalog *trigger.Catalog) (*policy.Policy, []policies.Problem) {
	c, problems := compile(&p, catalog)
	return c.policy, problems
}

// compile compiles a policy. It returns every mistake; with one the rest is zero.
func compile(p *policies.Policy, catalog *trigger.Catalog) (compiled, []policies.Problem) {
	problems := slices.Clone(p.Problems)
	spec := p.Spec
	spec.Signals = slices.Clone(spec.Signals)
	c := compiled{signals: make([]*signal, 0, len(p.Signals))}
	for i := range p.Signals {
		s, err := parseSignal(catalog, p, i, &spec.Signals[i])
		if err != nil {
			problems = append(problems, problemOf(p.Signals[i].Name, err))
		} else {
			c.signals = append(c.signals, s)
		}
		if err != nil || converted(p, i) {
			// Nothing is known of its target, which is then no second mistake.
			spec.Signals[i].Target = cmp.Or(spec.Signals[i].Target, 1)
		}
	}
	// Without a signal that has a mistake it is not known which of them could show workers.
	if p.Workers != nil && len(c.signals) == len(p.Signals) {
		var err error
		if c.workers, err = signalWithWorkers(p.Workers.Signal, c.signals); err != nil {
			problems = append(problems, policies.Problem{Kind: policies.InSignal, Err: err})
		}
	}
	var err error
	c.policy, err = policy.New(spec)
	if problems = append(problems, mistakes(err)...); len(problems) > 0 {
		return compiled{}, problems
	}
	return c, nil
}

// converted reports whether a signal has a mistake that was found where the text of its author was
// converted. What made no number is zero then.
func converted(p *policies.Policy, i int) bool {
	place := "signals[" + p.Signals[i].Name + "]."
	return slices.ContainsFunc(p.Problems, func(problem policies.Problem) bool { return strings.HasPrefix(problem.Err.Error(), place) })
}

// problemOf returns the problem of a signal that cannot be parsed.
func problemOf(name string, err error) policies.Problem {
	kind := policies.InSignal
	if errors.Is(err, trigger.ErrDenied) {
		kind = policies.InConnection
	}
	return policies.Problem{Kind: kind, Err: fmt.Errorf("signals[%s].%w", name, err)}
}

// mistakes returns the problems that compiling a policy finds.
func mistakes(err error) []policies.Problem {
	kinds := map[policy.Part]policies.Kind{
		policy.PartFormula: policies.InFormula, policy.PartSchedule: policies.InSchedule, policy.PartSignal: policies.InSignal, policy.PartSpec: policies.InSpec,
	}
	var problems []policies.Problem
	for _, mistake := range policy.Mistakes(err) {
		problems = append(problems, policies.Problem{Kind: kinds[mistake.Part], Err: mistake})
	}
	return problems
}
