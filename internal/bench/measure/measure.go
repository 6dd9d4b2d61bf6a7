// Package measure holds what is measured: one function for each subject.
package measure

import (
	"context"

	"github.com/backlog-scaler/backlog-scaler/internal/bench/figure"
)

// A Result is what came out.
type Result struct {
	Figures []figure.Figure
	// Curves are what grows with the number of triggers.
	Curves []Curve
}

// A Curve is something measured at several numbers of triggers.
type Curve struct {
	Name, Unit string
	Points     []Point
}

// A Point is what was measured at one number of triggers.
type Point struct {
	Triggers int
	Value    float64
}

// A Scenario measures one subject.
type Scenario struct {
	Name string
	Run  func(context.Context, Programs) (Result, error)
}

// inTurns calls both; which of them goes first alternates with n.
func inTurns(n int, own, floor func() error) error {
	first, second := own, floor
	if n%2 == 1 {
		first, second = floor, own
	}
	if err := first(); err != nil {
		return err
	}
	return second()
}

// All are the scenarios, in the order in which they run.
func All() []Scenario {
	return []Scenario{
		{"rpc", RPC},
		{"streams", Streams},
		{"wake", Wake},
		{"read", Read},
		{"load", Load},
		{"neighbours", Neighbours},
		{"growth", Growth},
	}
}
