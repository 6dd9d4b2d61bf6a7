// Package formula compiles and evaluates the expressions of a policy: formulas, which give a
// number, and conditions. They are expressions of https://expr-lang.org over numbers alone. It
// is pure, and bounded: the length of an expression limits the work of each evaluation, because
// there are no loops, lists or texts.
package formula

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/vm"
)

// The limits of an expression.
const (
	// MaxLength is its length in bytes. The source has to be bounded:
	// https://github.com/expr-lang/expr/security/advisories/GHSA-93mq-9ffx-83m2 (CVE-2025-29786)
	MaxLength = 1024
	// maxNodes is the number of its numbers, names, operators and calls.
	maxNodes = 500
)

// ErrNotFinite is an expression whose result is not a number, or infinite, such as a division
// by zero.
var ErrNotFinite = errors.New("not a finite number")

// Values are the numbers that an expression may name: signals by their names, the needs of
// signals by Need, and Current and Ready.
type Values map[string]float64

// The names of replicas in an expression.
const (
	// Current is the number of replicas that the workload asks for.
	Current = "current"
	// Ready is the number of replicas that are available.
	Ready = "ready"
)

// needs is the name before the dot of a need.
const needs = "need"

// Need returns the name for what a signal alone needs: its value by its target.
func Need(signal string) string { return needs + "." + signal }

// A Formula computes a number. It is immutable and safe for concurrent use.
type Formula struct {
	program *vm.Program
	uses    []string
}

// Compile compiles a formula over the names that it may use. The error names the place, and the
// known name that was most likely meant.
func Compile(text string, names []string) (*Formula, error) {
	uses, err := check(text, names, number)
	if err != nil {
		return nil, err
	}
	program, err := compile(text, names, expr.AsFloat64())
	if err != nil {
		return nil, err
	}
	return &Formula{program, uses}, nil
}

// Uses returns the names that the formula uses, sorted. The caller does not change them.
func (f *Formula) Uses() []string { return f.uses }

// Evaluate returns the number. It returns ErrNotFinite in place of a result that is infinite or
// not a number.
//
// Worked example: max(backlog / 20, 1) of a backlog of 90 is 4.5.
func (f *Formula) Evaluate(values Values) (float64, error) {
	if err := known(f.uses, values); err != nil {
		return 0, err
	}
	result, err := run(f.program, values)
	if err != nil {
		return 0, err
	}
	value, _ := result.(float64)
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return 0, ErrNotFinite
	}
	return value, nil
}

// A Condition is true or false. It is immutable and safe for concurrent use.
type Condition struct {
	program *vm.Program
	uses    []string
}

// CompileCondition compiles a condition, as Compile does.
func CompileCondition(text string, names []string) (*Condition, error) {
	uses, err := check(text, names, truth)
	if err != nil {
		return nil, err
	}
	program, err := compile(text, names, expr.AsBool())
	if err != nil {
		return nil, err
	}
	return &Condition{program, uses}, nil
}

// Uses returns the names that the condition uses, sorted. The caller does not change them.
func (c *Condition) Uses() []string { return c.uses }

// Holds reports whether the condition holds. It returns ErrNotFinite if a number in it is
// divided by zero.
func (c *Condition) Holds(values Values) (bool, error) {
	if err := known(c.uses, values); err != nil {
		return false, err
	}
	result, err := run(c.program, values)
	if err != nil {
		return false, err
	}
	holds, _ := result.(bool)
	return holds, nil
}

// known returns an error if a name has no finite value.
func known(uses []string, values Values) error {
	for _, name := range uses {
		value, found := values[name]
		switch {
		case !found:
			return fmt.Errorf("evaluate: %s has no value", name)
		case math.IsNaN(value) || math.IsInf(value, 0):
			return fmt.Errorf("evaluate: %s is %v: %w", name, value, ErrNotFinite)
		}
	}
	return nil
}

// compile makes the program of an expression that check accepted.
func compile(text string, names []string, kind expr.Option) (*vm.Program, error) {
	environment := make(map[string]float64, len(names))
	for _, name := range names {
		environment[name] = 0
	}
	options := []expr.Option{
		expr.Env(environment), kind, expr.MaxNodes(maxNodes), expr.Patch(patcher{}), expr.DisableAllBuiltins(),
		expr.Function(divide, finite(func(a, b float64) float64 { return a / b }), new(func(float64, float64) float64)),
		expr.Function(power, finite(math.Pow), new(func(float64, float64) float64)),
	}
	for _, function := range functions() {
		options = append(options, expr.EnableBuiltin(function))
	}
	program, err := expr.Compile(text, options...)
	if err != nil {
		return nil, fmt.Errorf("compile expression: %w", placed(err))
	}
	return program, nil
}

// finite returns an operation that fails if its result is infinite or not a number. Otherwise a
// comparison would make a truth of it.
func finite(operation func(a, b float64) float64) func(...any) (any, error) {
	return func(operands ...any) (any, error) {
		a, _ := operands[0].(float64)
		b, _ := operands[1].(float64)
		result := operation(a, b)
		if math.IsNaN(result) || math.IsInf(result, 0) {
			return nil, ErrNotFinite
		}
		return result, nil
	}
}

func run(program *vm.Program, values Values) (any, error) {
	result, err := expr.Run(program, map[string]float64(values))
	switch {
	case errors.Is(err, ErrNotFinite):
		return nil, fmt.Errorf("evaluate: %w", placed(err))
	case err != nil:
		return nil, fmt.Errorf("evaluate: %w: %w", ErrNotFinite, placed(err))
	}
	return result, nil
}

// CheckName returns an error if a signal cannot have the name, because expressions could not
// use it.
func CheckName(name string) error {
	if slices.Contains(functions(), name) || name == needs || name == Current || name == Ready {
		return fmt.Errorf("name %q: has a meaning in formulas, want another", name)
	}
	uses, err := check(name, []string{name}, number)
	if err != nil || len(uses) != 1 || len(name) > maxName || strings.Trim(name, alphanumeric) != "" {
		return fmt.Errorf("name %q: want up to %d letters and digits, a letter first, and no word of formulas such as not", name, maxName)
	}
	return nil
}

// Names of signals have up to 32 letters and digits.
const (
	maxName      = 32
	alphanumeric = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
)
