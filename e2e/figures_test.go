package e2e_test

import (
	"cmp"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	"github.com/backlog-scaler/backlog-scaler/internal/bench/figure"
)

// figures collects what the scenarios measure. It is safe for tests that run at the same time.
type figures struct {
	mu   sync.Mutex // guards list
	list []figure.Figure
}

// note adds figures and fails for each that is short of its bound.
func (s *suite) note(t *testing.T, list ...figure.Figure) {
	t.Helper()
	for _, f := range list {
		if f.Short() {
			t.Errorf("short of its bound: %s", f)
		}
	}
	s.figures.mu.Lock()
	defer s.figures.mu.Unlock()
	s.figures.list = append(s.figures.list, list...)
}

// took notes a duration.
func (s *suite) took(t *testing.T, scenario, name string, d time.Duration) {
	t.Helper()
	s.note(t, figure.Alone(underscores(scenario+" "+name), "ms", figure.Bound{}, milliseconds(d)))
}

// write writes a line for each figure, in the order of their names.
func (f *figures) write(w io.Writer) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	slices.SortStableFunc(f.list, func(a, b figure.Figure) int { return cmp.Compare(a.Name, b.Name) })
	for _, line := range f.list {
		if err := line.Print(w); err != nil {
			return err
		}
	}
	return nil
}

// underscores makes the name of a figure of words.
func underscores(words string) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(words), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }), "_")
}

// milliseconds is d as a number.
func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// quantile is the q-quantile of durations.
func quantile(samples []time.Duration, q float64) time.Duration {
	numbers := make([]float64, len(samples))
	for i, d := range samples {
		numbers[i] = float64(d)
	}
	return time.Duration(figure.Quantile(numbers, q))
}
