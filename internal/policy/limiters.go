package policy

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/backlog-scaler/backlog-scaler/internal/formula"
)

// A limiter is a Limiter that was compiled.
type limiter struct {
	name   string
	action Action
	when   *formula.Condition
	// until is nil if the end of when is enough, and ceiling is nil for Freeze.
	until   *formula.Condition
	ceiling *formula.Formula
	uses    []string
}

// compileLimiters compiles those of the spec.
func (p *Policy) compileLimiters(names []string) error {
	limiters := p.spec.Limiters
	if len(limiters) > MaxLimiters {
		return fmt.Errorf("%d limiters, want at most %d", len(limiters), MaxLimiters)
	}
	var errs []error
	for i := range limiters {
		compiled, err := compileLimiter(&limiters[i], names)
		if err == nil && slices.ContainsFunc(limiters[:i], func(other Limiter) bool { return other.Name == limiters[i].Name }) {
			err = errors.New("name: an earlier limiter has the same name, want another")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("limiter %q: %w", limiters[i].Name, err))
			continue
		}
		p.limiters = append(p.limiters, compiled)
	}
	return errors.Join(errs...)
}

func compileLimiter(l *Limiter, names []string) (limiter, error) {
	compiled := limiter{name: l.Name, action: l.Action}
	switch {
	case l.Name == "":
		return compiled, errors.New("name: missing, want one such as database")
	case l.Action > Lower:
		return compiled, fmt.Errorf("action %d: want Freeze or Ceiling", l.Action)
	case l.Action == Freeze && l.Ceiling != "":
		return compiled, errors.New("ceiling goes with action: Ceiling")
	case max(len(l.When), len(l.Until), len(l.Ceiling)) > maxCondition:
		return compiled, fmt.Errorf("an expression is %d bytes long, want at most %d", max(len(l.When), len(l.Until), len(l.Ceiling)), maxCondition)
	}
	var err error
	if compiled.when, err = formula.CompileCondition(l.When, names); err != nil {
		return compiled, fmt.Errorf("when: %w", err)
	}
	compiled.uses = slices.Clone(compiled.when.Uses())
	if l.Until != "" {
		if compiled.until, err = formula.CompileCondition(l.Until, names); err != nil {
			return compiled, fmt.Errorf("until: %w", err)
		}
		compiled.uses = append(compiled.uses, compiled.until.Uses()...)
	}
	if l.Action == Lower {
		if compiled.ceiling, err = formula.Compile(l.Ceiling, names); err != nil {
			return compiled, fmt.Errorf("ceiling: %w", err)
		}
		compiled.uses = append(compiled.uses, compiled.ceiling.Uses()...)
	}
	return compiled, nil
}

// limit begins and ends limiters, and applies those that are active. None goes below
// minReplicas. Of several with the same ceiling the first by name is the reason.
func (m *maker) limit() {
	active := make(map[string]ActiveLimiter, len(m.policy.limiters))
	ceiling, name := m.Ceiling, ""
	for i := range m.policy.limiters {
		l := &m.policy.limiters[i]
		before, was := m.State.Limiters[l.name]
		after, is, err := m.evaluate(l, before, was)
		if err != nil {
			m.note(ReasonLimiterUnknown, l.name)
			after, is = before, was
		}
		if !is {
			continue
		}
		active[l.name] = after
		most := max(after.Ceiling, m.policy.spec.MinReplicas)
		if l.action == Freeze {
			most = max(m.target.Replicas, m.policy.spec.MinReplicas)
		}
		if most < ceiling || most == ceiling && name != "" && l.name < name {
			ceiling, name = most, l.name
		}
	}
	if !maps.Equal(active, m.State.Limiters) {
		m.State.Limiters = active
	}
	m.Ceiling, m.Floor = ceiling, min(m.Floor, ceiling)
	m.adjust(ReasonLimiter, name, min(m.Replicas, ceiling))
}

// errLeftOut is a limiter that uses a signal that is left out.
var errLeftOut = errors.New("a signal is left out")

// evaluate returns whether a limiter is active, and since when. The condition that begins it is
// stronger than the one that ends it.
func (m *maker) evaluate(l *limiter, before ActiveLimiter, was bool) (after ActiveLimiter, is bool, err error) {
	if !m.evaluable(l.uses) {
		return before, was, errLeftOut
	}
	begins, err := l.when.Holds(m.values)
	if err != nil {
		return before, was, fmt.Errorf("when: %w", err)
	}
	switch {
	case was && !begins && l.until != nil:
		ends, err := l.until.Holds(m.values)
		return before, !ends, err
	case was || !begins:
		return before, begins, nil
	case l.ceiling == nil:
		return ActiveLimiter{Since: m.now}, true, nil
	}
	ceiling, err := l.ceiling.Evaluate(m.values)
	if err != nil {
		return before, was, fmt.Errorf("ceiling: %w", err)
	}
	return ActiveLimiter{Since: m.now, Ceiling: atMost(ceiling)}, true, nil
}
