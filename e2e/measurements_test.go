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

	"github.com/backlog-scaler/backlog-scaler/bench/measurement"
)

// measurements collects what the scenarios measure. It is safe for tests that run at the same time.
type measurements struct {
	mu   sync.Mutex // guards list
	list []measurement.Measurement
}

// note adds measurements and fails the test for each that misses its bound.
func (s *suite) note(t *testing.T, list ...measurement.Measurement) {
	t.Helper()
	for _, m := range list {
		if m.Failed() {
			t.Errorf("bound missed: %s", m)
		}
	}
	s.measurements.mu.Lock()
	defer s.measurements.mu.Unlock()
	s.measurements.list = append(s.measurements.list, list...)
}

// took notes a duration.
func (s *suite) took(t *testing.T, scenario, name string, d time.Duration) {
	t.Helper()
	s.note(t, measurement.Alone(underscores(scenario+" "+name), "ms", measurement.Bound{}, milliseconds(d)))
}

// write writes a line for each measurement, in the order of their names.
func (m *measurements) write(w io.Writer) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	slices.SortStableFunc(m.list, func(a, b measurement.Measurement) int { return cmp.Compare(a.Name, b.Name) })
	for _, line := range m.list {
		if err := line.Print(w); err != nil {
			return err
		}
	}
	return nil
}

// underscores makes the name of a measurement of words.
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
	return time.Duration(measurement.Quantile(numbers, q))
}
