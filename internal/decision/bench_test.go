package decision_test

import (
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/decision"
)

func benchmarks() map[string]struct {
	spec   decision.Spec
	seen   backlog.Observation
	allocs float64
} {
	var parts []backlog.Reading
	for range 20 {
		parts = append(parts, backlog.Reading{Ready: 10})
	}
	held := backlog.Observation{Latest: ready(0, 3)}
	for second := -60; second < 0; second++ {
		held.Past = append(held.Past, ready(second, int64(100+second)))
	}
	var many []backlog.Reading
	for range 1000 {
		many = append(many, backlog.Reading{Ready: 10})
	}
	crowd := backlog.Observation{Latest: several(0, many...)}
	for second := -60; second < 0; second++ {
		crowd.Past = append(crowd.Past, several(second, many...))
	}
	target := decision.Spec{Target: 5, MaxStaleness: 30 * time.Second}
	hold := target
	hold.Hold, hold.HoldActive = time.Minute, time.Minute
	return map[string]struct {
		spec   decision.Spec
		seen   backlog.Observation
		allocs float64
	}{
		"target":  {target, backlog.Observation{Latest: ready(0, 12)}, 0},
		"hold":    {hold, held, 1},
		"drain":   {drainSpec(), arriving(-60, steadily(10)), 1},
		"crowd":   {hold, crowd, 1},
		"several": {target, backlog.Observation{Latest: several(0, parts...)}, 1},
	}
}

func BenchmarkDecide(b *testing.B) {
	for name, bench := range benchmarks() {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := decision.Decide(&bench.spec, &bench.seen, 0, at(0)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestDecideAllocates no more than the steps and the parts of its answer need.
func TestDecideAllocates(t *testing.T) { //nolint:paralleltest // allocations are counted for the whole process
	for name, bench := range benchmarks() {
		got := testing.AllocsPerRun(5, func() {
			_, _ = decision.Decide(&bench.spec, &bench.seen, 0, at(0))
		})
		if got > bench.allocs {
			t.Errorf("%s: %v allocations, want %v", name, got, bench.allocs)
		}
	}
}
