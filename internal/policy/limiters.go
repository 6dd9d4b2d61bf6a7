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
		l := &limiters[i]
		compiled, mistakes := compileLimiter(l, names)
		if l.Name != "" && slices.ContainsFunc(limiters[:i], func(other Limiter) bool { return other.Name == l.Name }) {
			mistakes = append(mistakes, errors.New("name: an earlier limiter has the same name, want another"))
		}
		errs = append(errs, within("limiter", l.Name, mistakes)...)
		p.limiters = append(p.limiters, compiled)
	}
	return errors.Join(errs...)
}

// compileLimiter returns a limiter, and every mistake in it.
func compileLimiter(l *Limiter, names []string) (limiter, []error) {
	compiled := limiter{name: l.Name, action: l.Action}
	var mistakes []error
	if l.Name == "" {
		mistakes = append(mistakes, errors.New("name: missing, want one such as database"))
	}
	if l.Action > Lower {
		mistakes = append(mistakes, fmt.Errorf("action %d: want Freeze or Ceiling", l.Action))
	}
	if l.Action == Freeze && l.Ceiling != "" {
		mistakes = append(mistakes, errors.New("ceiling goes with action: Ceiling"))
	}
	condition := func(field, text string) *formula.Condition {
		condition, err := compileBounded(formula.CompileCondition, text, names)
		if err != nil {
			mistakes = append(mistakes, fmt.Errorf("%s: %w", field, err))
			return nil
		}
		compiled.uses = append(compiled.uses, condition.Uses()...)
		return condition
	}
	compiled.when = condition("when", l.When)
	if l.Until != "" {
		compiled.until = condition("until", l.Until)
	}
	if l.Action == Lower {
		ceiling, err := compileBounded(formula.Compile, l.Ceiling, names)
		if err != nil {
			return compiled, append(mistakes, fmt.Errorf("ceiling: %w", err))
		}
		compiled.ceiling, compiled.uses = ceiling, append(compiled.uses, ceiling.Uses()...)
	}
	return compiled, mistakes
}

// compileBounded compiles an expression that is not too long for a limiter.
func compileBounded[T any](compile func(string, []string) (T, error), text string, names []string) (T, error) {
	if len(text) > maxCondition {
		var none T
		return none, fmt.Errorf("%d bytes long, want at most %d", len(text), maxCondition)
	}
	return compile(text, names)
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
