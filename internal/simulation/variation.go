package simulation

import (
	"slices"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/simulation/trace"
)

// A Variation is what may be otherwise than a trace and its workers say, each as a factor.
type Variation struct {
	Name string
	// Arrivals is for the number of messages, Work for the time that each takes, and Startup for the
	// time until a pod takes messages.
	Arrivals, Work, Startup float64
}

// Variations returns what is usually wrong with a forecast. The first one changes nothing.
func Variations() []Variation {
	return []Variation{
		{"as recorded", 1, 1, 1}, {"arrivals -20 %", 0.8, 1, 1}, {"arrivals +20 %", 1.2, 1, 1}, {"work +20 %", 1, 1.2, 1}, {"start-up x2", 1, 1, 2},
	}
}

// Of returns a trace and its workers with the variation. They are not changed themselves.
func (v Variation) Of(t *trace.Trace, w *Workers) (*trace.Trace, *Workers) {
	changed := t.Scale(v.Arrivals)
	changed.Arrivals = slices.Clone(changed.Arrivals)
	for i := range changed.Arrivals {
		changed.Arrivals[i].Work = time.Duration(float64(changed.Arrivals[i].Work) * v.Work)
	}
	workers := *w
	workers.Service = w.Service.Scale(v.Work)
	workers.Startup, workers.Cold, workers.WarmUp = w.Startup.Scale(v.Startup), w.Cold.Scale(v.Startup), scale(w.WarmUp, v.Startup)
	return changed, &workers
}

// A Varied is what becomes of candidates under a variation.
type Varied struct {
	Variation

	Results []Result
}

// variedSeeds is the number of runs for each variation: as many as show a median.
const variedSeeds = 5

// VariedRuns returns how many runs of each candidate CompareVaried makes for so many seeds.
func VariedRuns(seeds int) int { return len(Variations()) * min(seeds, variedSeeds) }

// CompareVaried replays a trace with each candidate and each variation, with the first five of the seeds.
func CompareVaried(candidates []Candidate, w *Workers, t *trace.Trace, seeds int, options Options) []Varied {
	var all []Varied
	for _, v := range Variations() {
		changed, workers := v.Of(t, w)
		all = append(all, Varied{v, Compare(candidates, workers, changed, min(seeds, variedSeeds), options)})
	}
	return all
}
