package main

import (
	"context"
	"errors"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/bench/measurement"
	"github.com/backlog-scaler/backlog-scaler/bench/subject"
)

// sets returns a subject whose sets have these values of two measurements, each with the bound 1.
func sets(values ...[2]float64) (run func(context.Context) (subject.Result, error), runs *int) {
	runs = new(int)
	return func(context.Context) (subject.Result, error) {
		if *runs == len(values) {
			return subject.Result{}, errors.New("measured too often")
		}
		value := values[*runs]
		*runs++
		return subject.Result{Measurements: []measurement.Measurement{
			{Name: "a", Value: value[0], Bound: measurement.AtMost(1), Note: "10 rounds"},
			{Name: "b", Value: value[1], Bound: measurement.AtMost(1)},
		}}, nil
	}, runs
}

func TestRepeated(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		sets   [][2]float64
		runs   int
		want   [2]float64
		notes  [2]string
		failed bool
	}{
		"all bounds are kept":     {sets: [][2]float64{{0.5, 0.6}}, runs: 1, want: [2]float64{0.5, 0.6}, notes: [2]string{"10 rounds", ""}},
		"one is kept later":       {sets: [][2]float64{{2, 0.6}, {0.7, 3}}, runs: 2, want: [2]float64{0.7, 0.6}, notes: [2]string{"10 rounds, set 2 of at most 3", ""}},
		"each is kept once":       {sets: [][2]float64{{2, 2}, {0.7, 3}, {4, 0.8}}, runs: 3, want: [2]float64{0.7, 0.8}, notes: [2]string{"10 rounds, set 2 of at most 3", "set 3 of at most 3"}},
		"one is missed each time": {sets: [][2]float64{{0.5, 2}, {2, 3}, {2, 4}}, runs: 3, want: [2]float64{0.5, 4}, notes: [2]string{"10 rounds", "set 3 of at most 3"}, failed: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run, runs := sets(test.sets...)
			result, err := repeated(t.Context(), run)
			if err != nil || *runs != test.runs {
				t.Fatalf("%d sets, error %v; want %d", *runs, err, test.runs)
			}
			failed := false
			for i, m := range result.Measurements {
				failed = failed || m.Failed()
				if m.Value != test.want[i] || m.Note != test.notes[i] {
					t.Errorf("%s: %v with note %q, want %v with %q", m.Name, m.Value, m.Note, test.want[i], test.notes[i])
				}
			}
			if failed != test.failed {
				t.Errorf("failed is %t, want %t", failed, test.failed)
			}
		})
	}
}

func TestRepeatedEndsWithAnError(t *testing.T) {
	t.Parallel()
	run, _ := sets([2]float64{2, 2})
	if _, err := repeated(t.Context(), run); err == nil {
		t.Error("no error")
	}
}
