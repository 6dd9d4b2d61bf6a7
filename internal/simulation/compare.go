package simulation

import (
	"slices"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/simulation/trace"
)

// A Result is what became of a candidate with several seeds.
type Result struct {
	Candidate *Candidate
	// Outcomes has one for each seed, in the same order for all candidates.
	Outcomes []Outcome
}

// A Spread is a value over several seeds: the median, and the 5th and the 95th percentile.
type Spread struct {
	Low    float64 `json:"p5"`
	Median float64 `json:"median"`
	High   float64 `json:"p95"`
}

// Spread returns the spread of a value of the outcomes.
func (r *Result) Spread(value func(*Outcome) float64) Spread {
	values := make([]float64, 0, len(r.Outcomes))
	for i := range r.Outcomes {
		values = append(values, value(&r.Outcomes[i]))
	}
	return SpreadOf(values)
}

// SpreadOf returns the spread of values; there is at least one.
func SpreadOf(values []float64) Spread {
	sorted := slices.Sorted(slices.Values(values))
	return Spread{quantile(sorted, 0.05), quantile(sorted, 0.50), quantile(sorted, 0.95)}
}

// The part of a run that is left out at its beginning, where the trace is long enough.
const (
	// leastBeginning is for the windows of the HorizontalPodAutoscaler.
	leastBeginning = 10 * time.Minute
	// beginningPart is how many times as long the trace has to be.
	beginningPart = 10
)

// Beginning returns how much of a trace is left out because windows of the candidates are not filled:
// ten minutes or the longest window, and nothing of a trace that is not ten times as long.
func Beginning(t *trace.Trace, candidates []Candidate) time.Duration {
	longest := leastBeginning
	for i := range candidates {
		longest = max(longest, candidates[i].windows())
	}
	if t.End < beginningPart*longest {
		return 0
	}
	return longest
}

// Compare replays a trace with each candidate and each seed, from 1 on. The seeds draw the moments
// within the resolution of the trace, the lengths of work, the start-up times and the phases of KEDA
// and of the HorizontalPodAutoscaler; candidates share what is drawn.
func Compare(candidates []Candidate, w *Workers, t *trace.Trace, seeds int, options Options) []Result {
	results := make([]Result, len(candidates))
	for i := range candidates {
		results[i].Candidate = &candidates[i]
	}
	for seed := range seeds {
		load := NewLoad(t, w, uint64(seed)+1)
		for i := range candidates {
			c := &candidates[i]
			results[i].Outcomes = append(results[i].Outcomes, Run(c, w, load, load.Phases(c), options))
		}
	}
	return results
}
