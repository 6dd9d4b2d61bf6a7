// Package figures collects what the scenarios measure and prints it as one table.
package figures

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"text/tabwriter"
	"time"
)

// A Figure is one measured value.
type Figure struct {
	Scenario string  `json:"scenario"`
	Name     string  `json:"name"`
	Value    float64 `json:"value"`
	Unit     string  `json:"unit"`
	// Bound is what the test asserts of it; empty when it is only reported.
	Bound string `json:"bound,omitempty"`
}

// A Table is safe for tests that run at the same time.
type Table struct {
	mu      sync.Mutex // guards figures
	figures []Figure
}

// Add notes a value.
func (t *Table) Add(f Figure) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.figures = append(t.figures, f)
}

// Duration notes a duration: in milliseconds below one second, else in seconds.
func (t *Table) Duration(scenario, name string, d time.Duration, bound string) {
	f := Figure{Scenario: scenario, Name: name, Value: d.Seconds(), Unit: "s", Bound: bound}
	if d < time.Second {
		f.Value, f.Unit = f.Value*1000, "ms"
	}
	f.Value = math.Round(f.Value*100) / 100
	t.Add(f)
}

// Print writes the table, in the order of the scenarios' names.
func (t *Table) Print(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "scenario\tfigure\tvalue\tasserted")
	for _, f := range t.sorted() {
		fmt.Fprintf(tw, "%s\t%s\t%.6g %s\t%s\n", f.Scenario, f.Name, f.Value, f.Unit, f.Bound)
	}
	if err := tw.Flush(); err != nil {
		return fmt.Errorf("print figures: %w", err)
	}
	return nil
}

// WriteJSON writes the figures to a file, whose folder it creates.
func (t *Table) WriteJSON(file string) error {
	b, err := json.MarshalIndent(t.sorted(), "", "  ")
	if err != nil {
		return fmt.Errorf("encode figures: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
		return fmt.Errorf("create figures folder: %w", err)
	}
	if err := os.WriteFile(file, append(b, '\n'), 0o600); err != nil {
		return fmt.Errorf("write figures: %w", err)
	}
	return nil
}

// sorted keeps the order of adding within a scenario.
func (t *Table) sorted() []Figure {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := slices.Clone(t.figures)
	slices.SortStableFunc(list, func(a, b Figure) int { return cmp.Compare(a.Scenario, b.Scenario) })
	return list
}

// Quantile returns the q-quantile of the samples by nearest rank: with 30 samples the 0.99-quantile is the largest.
func Quantile(samples []time.Duration, q float64) time.Duration {
	if len(samples) == 0 {
		return 0
	}
	ordered := slices.Sorted(slices.Values(samples))
	rank := int(math.Ceil(q * float64(len(ordered))))
	return ordered[min(max(rank, 1), len(ordered))-1]
}
