// Package measurement holds the results of benchmarks: a value, its ratio to a baseline, the bound that it has to
// keep, and the spread of the rounds.
package measurement

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// A Measurement is one line of a report. Its fields are in the order of the line.
type Measurement struct {
	// Name has no spaces, such as "rpc_getmetrics_throughput".
	Name  string
	Value float64
	// Unit is that of Value, such as "calls/s".
	Unit string
	// Ratio is Value divided by that of the baseline in the same run; nil if there is no baseline.
	Ratio *float64
	Bound Bound
	// Note is free text, such as the number of rounds and their spread.
	Note string
}

// A Bound is the limit of a measurement. The zero Bound is none.
type Bound struct {
	// Of is the number that is bounded.
	Of Side
	// Least makes it a lower bound instead of an upper one.
	Least bool
	Limit float64
}

// A Side is the number of a measurement that is bounded.
type Side uint8

// The sides.
const (
	Nothing Side = iota
	OfValue
	OfRatio
)

// AtMost bounds the value of a measurement from above.
func AtMost(limit float64) Bound { return Bound{Of: OfValue, Limit: limit} }

// RatioAtMost bounds the ratio of a measurement from above.
func RatioAtMost(limit float64) Bound { return Bound{Of: OfRatio, Limit: limit} }

// RatioAtLeast bounds the ratio of a measurement from below.
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

// Failed reports whether the measurement misses its bound. NaN misses every bound.
func (m Measurement) Failed() bool {
	at := m.Value
	switch m.Bound.Of {
	case Nothing:
		return false
	case OfRatio:
		if m.Ratio == nil {
			return true
		}
		at = *m.Ratio
	case OfValue:
	}
	if m.Bound.Least {
		return !(at >= m.Bound.Limit)
	}
	return !(at <= m.Bound.Limit)
}

// Verdict is "ok" or "failed".
func (m Measurement) Verdict() string {
	if m.Failed() {
		return "failed"
	}
	return "ok"
}

// ShownValue is the value as it is printed.
func (m Measurement) ShownValue() string { return number(m.Value) }

// ShownRatio is the ratio as it is printed; "-" if there is none.
func (m Measurement) ShownRatio() string {
	if m.Ratio == nil {
		return "-"
	}
	return number(*m.Ratio)
}

// String is the line "name value unit ratio bound ok|failed # note".
func (m Measurement) String() string {
	line := strings.Join([]string{m.Name, m.ShownValue(), m.Unit, m.ShownRatio(), m.Bound.String(), m.Verdict()}, " ")
	if m.Note != "" {
		line += " # " + m.Note
	}
	return line
}

// Print writes one line.
func (m Measurement) Print(w io.Writer) error {
	if _, err := fmt.Fprintln(w, m); err != nil {
		return fmt.Errorf("print measurement %s: %w", m.Name, err)
	}
	return nil
}

// Table returns the measurements as a table in Markdown.
func Table(measurements []Measurement) string {
	var b strings.Builder
	b.WriteString("| measurement | value | ratio to the baseline | bound | | rounds |\n| --- | --- | --- | --- | --- | --- |\n")
	for _, m := range measurements {
		fmt.Fprintf(&b, "| `%s` | %s %s | %s | %s | %s | %s |\n", m.Name, m.ShownValue(), m.Unit, m.ShownRatio(), m.Bound, m.Verdict(), m.Note)
	}
	return b.String()
}

// number formats four significant digits, which is more than a measurement is good for.
func number(v float64) string {
	if math.Abs(v) >= 1000 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}
