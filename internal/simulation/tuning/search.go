package tuning

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/simulation"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation/candidate"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation/trace"
)

// A Search is what to tune, and by what.
type Search struct {
	Trace   *trace.Trace
	Workers *simulation.Workers
	// Today is the ScaledObject as it is. Change returns it with changed settings.
	Today  *candidate.Candidate
	Change func(*candidate.Settings) (candidate.Candidate, error)
	Goal   Goal
	// Points is the number of settings that are tried, besides those of today. Seed draws them.
	Points int
	Seed   uint64
	// Bounds limits the search to the smallest and the largest number of replicas.
	Bounds bool
	// Each calls f for 0 to n-1, in any order or at once; nil calls them one after the other.
	Each func(n int, f func(i int))
}

// The parts of a search.
const (
	// heldOut is the part of the trace at its end that settings are not chosen by.
	heldOut = 0.3
	// eta is how many times fewer settings go on to the next round, on as many times as much of the
	// trace (Jamieson and Talwalkar, 2016).
	eta = 3
	// finalists is about how many settings are tried on what was held out.
	finalists = 4
	// seeds is the number of runs on what was held out, and maxRuns those of one setting in a round.
	seeds   = 10
	maxRuns = 27
	// block is the length of the pieces in which the trace is replayed, if it has several.
	block = 24 * time.Hour
	// alike is the part by which costs may differ that count as equal.
	alike = 0.01
)

// A Score is what became of settings in several runs.
type Score struct {
	// Within is the part of the messages that waited no longer than the goal.
	Within float64
	// Wait is the percentile of the goal, and Cost the replica-seconds of a run: the medians.
	Wait   time.Duration
	Cost   float64
	Killed int
}

// A Try is settings with what became of them.
type Try struct {
	Settings  candidate.Settings
	Candidate candidate.Candidate
	// Score is on what settings are chosen by, and First the one of the first round, in which all
	// settings have the same runs.
	Score, First Score
}

// today reports whether the settings are those of today.
func (t *Try) today() bool { return t.Settings.Changes() == 0 }

// meets reports whether the goal is met, without more killed messages than today.
func (s *Search) meets(score, today *Score) bool {
	return score.Within >= float64(s.Goal.Percentile)/100 && score.Killed <= today.Killed
}

// A piece is a part of the trace with the messages of a seed.
type piece struct {
	load *simulation.Load
	end  time.Duration
}

// pieces returns parts of a trace: days if there are several, each with several seeds, so that n of
// them are there.
func (s *Search) pieces(t *trace.Trace, n int) []piece {
	var days []*trace.Trace
	if t.End >= 2*block {
		for from := time.Duration(0); from+block <= t.End; from += block {
			if day := t.Between(from, from+block); day.Messages() > 0 {
				days = append(days, day)
			}
		}
	}
	if len(days) == 0 {
		days = []*trace.Trace{t}
	}
	var all []piece
	for i := range n {
		day := days[i%len(days)]
		all = append(all, piece{simulation.NewLoad(day, s.Workers, s.Seed*1000+uint64(i)+1), day.End})
	}
	return all
}

// score replays pieces with a candidate.
func (s *Search) score(c *simulation.Candidate, w *simulation.Workers, pieces []piece) Score {
	var score Score
	var waits, costs []float64
	messages, within := 0.0, 0.0
	for _, p := range pieces {
		o := simulation.Run(c, w, p.load, p.load.Phases(c), simulation.Options{Goal: s.Goal.Wait, MostAfter: simulation.DefaultMostAfter})
		messages += float64(o.Messages)
		within += o.WithinGoal * float64(o.Messages)
		waits, costs = append(waits, o.Waits[s.Goal.Percentile].Seconds()), append(costs, o.ReplicaSeconds)
		score.Killed += o.Killed
	}
	if messages > 0 {
		score.Within = within / messages
	}
	score.Wait = time.Duration(simulation.SpreadOf(waits).Median * float64(time.Second))
	score.Cost = simulation.SpreadOf(costs).Median
	return score
}

// run finds the best settings by successive halving. The settings of today are always among them.
func (s *Search) run(chosenBy *trace.Trace) (best, all []Try) {
	service := s.Workers.Service.Mean()
	if service == 0 {
		service = meanWork(s.Trace)
	}
	from := space{goal: s.Goal, workers: s.Workers, service: service, rates: RatesOf(chosenBy), bounds: s.Bounds, today: s.Today}
	tries := []Try{{Candidate: *s.Today}}
	for _, settings := range from.points(s.Points, s.Seed) {
		if settings.Changes() == 0 {
			continue
		}
		// What the parser rejects is no candidate, such as a minimum below idleReplicaCount.
		if c, err := s.Change(&settings); err == nil {
			tries = append(tries, Try{Settings: settings, Candidate: c})
		}
	}
	pieces := s.pieces(chosenBy, maxRuns)
	for runs := 1; ; runs *= eta {
		runs = min(runs, maxRuns)
		s.each(len(tries), func(i int) {
			tries[i].Score = s.score(&tries[i].Candidate.Candidate, s.Workers, pieces[:runs])
			if runs == 1 {
				tries[i].First = tries[i].Score
			}
		})
		s.sort(tries)
		if all == nil {
			all = slices.Clone(tries)
		}
		if runs == maxRuns {
			return keep(tries, min(finalists, len(tries))), all
		}
		tries = keep(tries, max(len(tries)/eta, min(finalists, len(tries))))
	}
}

func (s *Search) each(n int, f func(i int)) {
	if s.Each != nil {
		s.Each(n, f)
		return
	}
	for i := range n {
		f(i)
	}
}

// meanWork returns the mean of the times that the trace has.
func meanWork(t *trace.Trace) time.Duration {
	sum, n := 0.0, 0.0
	for _, a := range t.Arrivals {
		sum += a.Work.Seconds() * float64(a.Count)
		n += float64(a.Count)
	}
	return max(time.Duration(sum/n*float64(time.Second)), time.Millisecond)
}

// keep returns the first n tries, and the one of today.
func keep(tries []Try, n int) []Try {
	kept := slices.Clone(tries[:n])
	for i := n; i < len(tries); i++ {
		if tries[i].today() {
			kept = append(kept, tries[i])
		}
	}
	return kept
}

// sort puts what meets the goal first, by cost, and then what misses it by the least. Where costs are
// alike, today's settings come first, and then those with fewer changes.
func (s *Search) sort(tries []Try) {
	today := tries[slices.IndexFunc(tries, func(t Try) bool { return t.today() })].Score
	slices.SortStableFunc(tries, func(a, b Try) int {
		meetsA, meetsB := s.meets(&a.Score, &today), s.meets(&b.Score, &today)
		switch {
		case meetsA != meetsB && meetsA:
			return -1
		case meetsA != meetsB:
			return 1
		case !meetsA:
			return cmp.Or(cmp.Compare(b.Score.Within, a.Score.Within), cmp.Compare(a.Score.Cost, b.Score.Cost))
		default:
			return cmp.Or(cmp.Compare(grade(a.Score.Cost), grade(b.Score.Cost)), cmp.Compare(a.Settings.Changes(), b.Settings.Changes()), cmp.Compare(a.Score.Cost, b.Score.Cost))
		}
	})
}

// grade returns the same number for costs that are alike, which keeps the order transitive.
func grade(cost float64) float64 {
	return math.Round(math.Log(max(cost, 1)) / math.Log(1+alike))
}
