// Package comparison prints what a simulation found: as a table, as JSON, and as one HTML page with
// charts that needs nothing else. The same input gives the same bytes.
package comparison

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation/trace"
)

// A Report is what was simulated, and what came of it.
type Report struct {
	// Version is that of the program, and Digest identifies the content of the trace.
	Version, Digest string
	Trace           *trace.Trace
	Workers         *simulation.Workers
	Seeds           int
	Options         simulation.Options
	// Results are those of the candidates, the one to compare with first.
	Results []simulation.Result
	// Varied are the same candidates if something is otherwise; empty if that was not simulated. The first
	// one is as recorded.
	Varied []simulation.Varied
	// Tried are settings of a search that no others beat in both cost and waiting; empty without a search.
	Tried []Tried
	// Notes are remarks on the simulation and on single candidates.
	Notes []string
}

// A Tried is a setting of a search, by one run on the part of the trace that settings are chosen by.
type Tried struct {
	Settings string
	// Cost is in replica-seconds, and Wait the percentile of the goal.
	Cost float64
	Wait time.Duration
}

// A measure is one number of an outcome.
type measure struct {
	name, label string
	value       func(*simulation.Outcome) float64
	format      func(float64) string
}

// measures are the numbers of an outcome, in their order. There is no part within a goal without a
// goal.
func (r *Report) measures() []measure {
	seconds := func(value func(*simulation.Outcome) time.Duration) func(*simulation.Outcome) float64 {
		return func(o *simulation.Outcome) float64 { return value(o).Seconds() }
	}
	all := []measure{
		{"waitP50Seconds", "waiting p50", seconds(func(o *simulation.Outcome) time.Duration { return o.P50 }), duration},
		{"waitP95Seconds", "waiting p95", seconds(func(o *simulation.Outcome) time.Duration { return o.P95 }), duration},
		{"waitP99Seconds", "waiting p99", seconds(func(o *simulation.Outcome) time.Duration { return o.P99 }), duration},
		{"waitLongestSeconds", "longest wait", seconds(func(o *simulation.Outcome) time.Duration { return o.Longest }), duration},
	}
	if r.Options.Goal > 0 {
		all = append(all, measure{
			"withinGoal", "waiting at most " + duration(r.Options.Goal.Seconds()), func(o *simulation.Outcome) float64 { return o.WithinGoal }, percent,
		})
	}
	return append(all, []measure{
		{"waitingMost", "most messages waiting", func(o *simulation.Outcome) float64 { return o.MostWaiting }, number},
		{"waitingMean", "messages waiting, mean", func(o *simulation.Outcome) float64 { return o.MeanWaiting }, number},
		{"replicaSeconds", "replica-seconds", func(o *simulation.Outcome) float64 { return o.ReplicaSeconds }, number},
		{"busy", "time at work", func(o *simulation.Outcome) float64 { return o.Busy }, percent},
		{"replicasMost", "most replicas", func(o *simulation.Outcome) float64 { return float64(o.MostReplicas) }, number},
		{"atMostSeconds", "time at the maximum", seconds(func(o *simulation.Outcome) time.Duration { return o.AtMost }), duration},
		{"changes", "changes of the replicas", func(o *simulation.Outcome) float64 { return float64(o.Changes) }, number},
		{"reversals", "reversals within 10 min", func(o *simulation.Outcome) float64 { return float64(o.Reversals) }, number},
		{"fromZero", "starts from zero", func(o *simulation.Outcome) float64 { return float64(o.FromZero) }, number},
		{"killed", "messages killed at work", func(o *simulation.Outcome) float64 { return float64(o.Killed) }, number},
		{"killedPods", "busy pods killed", func(o *simulation.Outcome) float64 { return float64(o.KilledPods) }, number},
		{"unfinished", "messages not taken", func(o *simulation.Outcome) float64 { return float64(o.Unfinished) }, number},
	}...)
}

// varied are the measures that are shown for each variation: how long messages wait, and what it costs.
func (r *Report) varied() []measure {
	wait := "waitP95Seconds"
	if r.Options.Goal > 0 {
		wait = "withinGoal"
	}
	var shown []measure
	for _, m := range r.measures() {
		if m.name == wait || m.name == "replicaSeconds" {
			shown = append(shown, m)
		}
	}
	return shown
}

// otherwise introduces the variations.
func (r *Report) otherwise() string {
	return fmt.Sprintf("If it comes otherwise, by the medians of %d runs:", len(r.Varied[0].Results[0].Outcomes))
}

// cell returns a spread as a text: one number if it does not depend on the seed.
func (m *measure) cell(s simulation.Spread) string {
	median, low, high := m.format(s.Median), m.format(s.Low), m.format(s.High)
	if low == median && high == median {
		return median
	}
	return fmt.Sprintf("%s (%s to %s)", median, low, high)
}

// shorter returns in how many seeds messages wait less than with the first candidate, by the 95th
// percentile. Both have the same messages in each.
func (r *Report) shorter(i int) int {
	n := 0
	for seed := range r.Results[i].Outcomes {
		if r.Results[i].Outcomes[seed].P95 < r.Results[0].Outcomes[seed].P95 {
			n++
		}
	}
	return n
}

// fits is the part by which the mean of the waiting messages may be off of a simulation that fits.
const fits = 0.2

// Calibrate adds notes on how the simulation of the first candidate, which was in force while the trace
// was recorded, compares with what was seen: the messages that waited, and the replicas if they are known.
// It reports whether the trace has what was seen.
func (r *Report) Calibrate() bool {
	waited, known := r.Trace.MeanSeen(func(s *trace.Seen) int64 { return s.Ready })
	if !known {
		return false
	}
	r.calibrate("messages waited", waited, func(o *simulation.Outcome) float64 { return o.MeanWaiting })
	if replicas, known := r.Trace.MeanSeen(func(s *trace.Seen) int64 { return s.Replicas }); known {
		r.calibrate("replicas were there", replicas, func(o *simulation.Outcome) float64 { return o.ReplicaSeconds / max(o.Length.Seconds(), 1e-9) })
	}
	return true
}

// calibrate adds a note on one mean.
func (r *Report) calibrate(what string, seen float64, value func(*simulation.Outcome) float64) {
	first := &r.Results[0]
	got := first.Spread(value).Median
	off := math.Abs(got-seen) / max(seen, 1e-9)
	note := fmt.Sprintf("calibration: %s %s in the mean, and %s in the simulation of %s", number(seen), what, number(got), first.Candidate.Name)
	switch {
	case off <= fits:
		note += fmt.Sprintf(", which is %s off", percent(off))
	default:
		note += ". DOES NOT FIT: the ScaledObject, --service, --startup or --concurrency differ from what ran, or the arrivals are a lower bound"
	}
	r.Notes = append(r.Notes, note)
}

// subject returns sentences on the trace and the workers.
func subject(t *trace.Trace, w *simulation.Workers) []string {
	from := ""
	if t.Source != "" {
		from = ", from " + backlog.Line(t.Source)
	}
	service := "as in the trace"
	if !w.Service.IsZero() {
		service = w.Service.String()
	}
	workers := fmt.Sprintf("Workers: %d message at once, each takes %s; pods take messages after %s", w.Concurrency, service, w.Startup)
	if w.Concurrency > 1 {
		workers = fmt.Sprintf("Workers: %d messages at once, each takes %s; pods take messages after %s", w.Concurrency, service, w.Startup)
	}
	if w.WarmUp > 0 {
		workers += fmt.Sprintf(", at full speed %s later", duration(w.WarmUp.Seconds()))
	}
	if w.ColdShare > 0 {
		workers += fmt.Sprintf(", and %s of them %s later", percent(w.ColdShare), w.Cold)
	}
	return []string{
		fmt.Sprintf("Trace: %d %s in %s%s; the arrivals are %s.", t.Messages(), unit(t), duration(t.End.Seconds()), from, article(t.Quality)),
		workers + fmt.Sprintf("; grace period %s.", duration(w.Grace.Seconds())),
	}
}

// head returns sentences on the trace, the workers and the runs.
func (r *Report) head() []string {
	lines := append(subject(r.Trace, r.Workers),
		fmt.Sprintf("Runs: %d, which differ by the phases of KEDA and the HPA and by what is drawn. Each value is the median, with the 5th and the 95th percentile.", r.Seeds),
	)
	if r.Options.From > 0 {
		lines = append(lines, fmt.Sprintf("The first %s count for nothing, because windows are not filled.", duration(r.Options.From.Seconds())))
	}
	return lines
}

func unit(t *trace.Trace) string {
	if t.Unit == "" {
		return "messages"
	}
	return backlog.Line(t.Unit)
}

func article(q trace.Quality) string {
	if q == trace.LowerBound {
		return "a lower bound, so that messages wait for longer than simulated"
	}
	return string(q)
}

// duration formats seconds.
func duration(seconds float64) string {
	switch {
	case seconds < 0.0005:
		return "0 s"
	case seconds < 1:
		return strconv.Itoa(int(math.Round(1000*seconds))) + " ms"
	case seconds < 100:
		return strconv.FormatFloat(seconds, 'f', 1, 64) + " s"
	case seconds < 2*3600:
		return strconv.FormatFloat(seconds/60, 'f', 1, 64) + " min"
	case seconds < 3*86_400:
		return strconv.FormatFloat(seconds/3600, 'f', 1, 64) + " h"
	default:
		return strconv.FormatFloat(seconds/86_400, 'f', 1, 64) + " d"
	}
}

// number formats a number: whole from ten on.
func number(value float64) string {
	if value == math.Trunc(value) || math.Abs(value) >= 10 {
		return strconv.FormatFloat(math.Round(value), 'f', 0, 64)
	}
	return strconv.FormatFloat(value, 'f', 2, 64)
}

func percent(part float64) string { return strconv.FormatFloat(100*part, 'f', 1, 64) + " %" }
