// Package figure is what a benchmark says: a value, what it is compared with, the
// bound that it has to keep and how far the rounds lay apart.
package figure

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// A Figure is one line of a benchmark. Its fields stand in the line in this order.
type Figure struct {
	// Name has no spaces, such as "rpc_getmetrics_throughput".
	Name  string
	Value float64
	// Unit is that of Value, such as "calls/s".
	Unit string
	// Ratio is Value by the floor, measured in the same run; nil if there is no floor.
	Ratio *float64
	Bound Bound
	// Note says what the line leaves out, such as the rounds and their spread.
	Note string
}

// A Bound is what a figure has to keep. The zero Bound is none.
type Bound struct {
	// Of is what is bounded.
	Of Side
	// Least tells a lower bound from an upper one.
	Least bool
	Limit float64
}

// A Side is what of a figure is bounded.
type Side uint8

// What a bound may be on.
const (
	Nothing Side = iota
	OfValue
	OfRatio
)

// AtMost bounds the value of a figure from above.
func AtMost(limit float64) Bound { return Bound{Of: OfValue, Limit: limit} }

// RatioAtMost bounds the ratio of a figure from above.
func RatioAtMost(limit float64) Bound { return Bound{Of: OfRatio, Limit: limit} }

// RatioAtLeast bounds the ratio of a figure from below.
func RatioAtLeast(limit float64) Bound { return Bound{Of: OfRatio, Least: true, Limit: limit} }

// String is "ratio>=0.9", "value<=5" or, for no bound, "-".
func (b Bound) String() string {
	side := [...]string{"", "value", "ratio"}[b.Of]
	switch {
	case b.Of == Nothing:
		return "-"
	case b.Least:
		return side + ">=" + number(b.Limit)
	default:
		return side + "<=" + number(b.Limit)
	}
}

// Short tells whether the figure does not keep its bound. What is not a number keeps none.
func (f Figure) Short() bool {
	at := f.Value
	switch f.Bound.Of {
	case Nothing:
		return false
	case OfRatio:
		if f.Ratio == nil {
			return true
		}
		at = *f.Ratio
	case OfValue:
	}
	if f.Bound.Least {
		return !(at >= f.Bound.Limit)
	}
	return !(at <= f.Bound.Limit)
}

// Verdict is "ok" or "short".
func (f Figure) Verdict() string {
	if f.Short() {
		return "short"
	}
	return "ok"
}

// ShownValue and ShownRatio are the numbers as they are printed; no ratio is "-".
func (f Figure) ShownValue() string { return number(f.Value) }

// ShownRatio is the ratio as it is printed; "-" if there is none.
func (f Figure) ShownRatio() string {
	if f.Ratio == nil {
		return "-"
	}
	return number(*f.Ratio)
}

// String is the line "name value unit ratio bound ok|short # note".
func (f Figure) String() string {
	line := strings.Join([]string{f.Name, f.ShownValue(), f.Unit, f.ShownRatio(), f.Bound.String(), f.Verdict()}, " ")
	if f.Note != "" {
		line += " # " + f.Note
	}
	return line
}

// Print writes one line.
func (f Figure) Print(w io.Writer) error {
	if _, err := fmt.Fprintln(w, f); err != nil {
		return fmt.Errorf("print figure %s: %w", f.Name, err)
	}
	return nil
}

// Table shows figures as Markdown does.
func Table(figures []Figure) string {
	var b strings.Builder
	b.WriteString("| figure | value | ratio to the floor | bound | | rounds |\n| --- | --- | --- | --- | --- | --- |\n")
	for _, f := range figures {
		fmt.Fprintf(&b, "| `%s` | %s %s | %s | %s | %s | %s |\n", f.Name, f.ShownValue(), f.Unit, f.ShownRatio(), f.Bound, f.Verdict(), f.Note)
	}
	return b.String()
}

// number shows about four digits: nobody measures more.
func number(v float64) string {
	if math.Abs(v) >= 1000 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}
