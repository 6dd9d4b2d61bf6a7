package tuning

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/simulation"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation/trace"
)

// A Check is what became of settings on the part of the trace that they were not chosen by, as it is
// or changed.
type Check struct {
	Name string
	Score
	Meets bool
}

// A Finalist is a try with its checks; the first is that of the trace as it is.
type Finalist struct {
	Try

	Checks []Check
}

// holds reports whether the goal is met in every check.
func (f *Finalist) holds() bool {
	return !slices.ContainsFunc(f.Checks, func(c Check) bool { return !c.Meets })
}

// A Verdict is the result of a search.
type Verdict struct {
	// Today is the ScaledObject as it is, and Best what was found; nil if nothing is better.
	Today Finalist
	Best  *Finalist
	// Why says why nothing is better; empty if something is.
	Why string
	// Finalists are all that were checked, the best first.
	Finalists []Finalist
	// Curve is how long messages wait by cost, the cheapest first. No other settings are both cheaper and
	// faster than one of these. All have the same one run.
	Curve []Try
	// Chosen and Checked are the lengths of the parts of the trace.
	Chosen, Checked time.Duration
	// Rates are those of the whole trace.
	Rates Rates
}

// leastGain is the part of the cost that is worth a change.
const leastGain = 0.03

// Run searches and checks.
func (s *Search) Run() Verdict {
	if s.Trace.Start.IsZero() { // the windows of a policy go on from one part to the next
		dated := *s.Trace
		dated.Start = simulation.DefaultStart()
		on := *s
		on.Trace, s = &dated, &on
	}
	cut := time.Duration(float64(s.Trace.End) * (1 - heldOut)).Truncate(time.Second)
	chosenBy, checkedBy := s.Trace.Between(0, cut), s.Trace.Between(cut, s.Trace.End)
	v := Verdict{Chosen: cut, Checked: s.Trace.End - cut, Rates: RatesOf(s.Trace)}
	if chosenBy.Messages() == 0 || checkedBy.Messages() == 0 {
		v.Why = "one of the two parts of the trace has no messages"
		return v
	}
	best, all := s.run(chosenBy)
	v.Curve = curve(all)
	for _, b := range best {
		v.Finalists = append(v.Finalists, Finalist{Try: b})
	}
	today := slices.IndexFunc(v.Finalists, func(f Finalist) bool { return f.today() })
	for _, variation := range simulation.Variations() {
		changed, w := variation.Of(checkedBy, s.Workers)
		under := *s
		under.Workers = w
		pieces := under.pieces(changed, seeds)
		scores := make([]Score, len(v.Finalists))
		s.each(len(scores), func(i int) { scores[i] = under.score(&v.Finalists[i].Candidate.Candidate, w, pieces) })
		for i := range v.Finalists {
			v.Finalists[i].Checks = append(v.Finalists[i].Checks, Check{variation.Name, scores[i], s.meets(&scores[i], &scores[today])})
		}
	}
	v.Today = v.Finalists[today]
	v.conclude(s.Goal)
	return v
}

// conclude chooses the first of the finalists that meets the goal in every check. Their order is that of
// the part of the trace that they were chosen by: what was held out chooses nothing.
func (v *Verdict) conclude(goal Goal) {
	for i := range v.Finalists {
		if v.Finalists[i].holds() {
			v.Best = &v.Finalists[i]
			break
		}
	}
	today := v.Today.Checks[0]
	switch {
	case v.Best == nil:
		v.Why = fmt.Sprintf("none of the best settings keeps p%d at %s or below in every check", goal.Percentile, goal.Wait)
	case v.Best.today():
		v.Best, v.Why = nil, "today's settings are the cheapest that keep the goal in every check"
	case v.Today.holds() && v.Best.Checks[0].Cost > today.Cost*(1-leastGain):
		v.Best, v.Why = nil, fmt.Sprintf("the best settings save less than %.0f %%", 100*leastGain)
	}
}

// curve returns the tries that no other one beats in both cost and waiting.
func curve(all []Try) []Try {
	sorted := slices.Clone(all)
	slices.SortStableFunc(sorted, func(a, b Try) int {
		return cmp.Or(cmp.Compare(a.First.Cost, b.First.Cost), cmp.Compare(a.First.Wait, b.First.Wait))
	})
	var front []Try
	for _, t := range sorted {
		if len(front) == 0 || t.First.Wait < front[len(front)-1].First.Wait {
			front = append(front, t)
		}
	}
	return front
}

// Short reports, as a remark, a trace that is too short or too vague to choose more by than the smallest
// and the largest number of replicas; empty if it is not.
func Short(s *Search) string {
	const day = 24 * time.Hour
	switch {
	case s.Trace.Quality == trace.LowerBound:
		return "the arrivals are a lower bound"
	case s.Trace.End < 2*day:
		return "the trace is shorter than two days"
	default:
		return ""
	}
}
