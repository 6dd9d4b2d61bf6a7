package decision_test

import (
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/decision"
)

// most is the largest number of messages of one queue: a thousand of them still fit
// an int64.
const most = 1 << 50

func counts() *rapid.Generator[backlog.Count] {
	return rapid.Custom(func(t *rapid.T) backlog.Count {
		if !rapid.Bool().Draw(t, "known") {
			return backlog.Count{}
		}
		return backlog.Exactly(rapid.Int64Range(0, most).Draw(t, "n"))
	})
}

// queue is a reading of one queue.
func queue() *rapid.Generator[backlog.Reading] {
	return rapid.Custom(func(t *rapid.T) backlog.Reading {
		return backlog.Reading{
			Ready:     rapid.Int64Range(0, most).Draw(t, "ready"),
			Due:       rapid.Int64Range(0, most).Draw(t, "due"),
			InFlight:  counts().Draw(t, "in flight"),
			Enqueued:  counts().Draw(t, "enqueued"),
			MaxUseful: rapid.Int64Range(0, 1000).Draw(t, "max useful"),
			Paused:    rapid.Bool().Draw(t, "paused"),
			Missing:   rapid.Bool().Draw(t, "missing"),
			Oldest: backlog.Age{
				Since: start.Add(-time.Duration(rapid.Int64Range(0, int64(2*time.Hour)).Draw(t, "age"))),
				Kind:  backlog.AgeKind(rapid.IntRange(0, 3).Draw(t, "age kind")),
			},
		}
	})
}

// readings are of one queue, or of several that come and go.
func readings() *rapid.Generator[backlog.Reading] {
	return rapid.Custom(func(t *rapid.T) backlog.Reading {
		r := queue().Draw(t, "queue")
		if n := rapid.IntRange(0, 4).Draw(t, "queues"); n > 0 {
			var parts []backlog.Part
			for _, name := range rapid.Permutation([]string{"a", "b", "c", "d"}).Draw(t, "names")[:n] {
				parts = append(parts, backlog.Part{Queue: name, Reading: queue().Draw(t, name)})
			}
			r = backlog.Aggregate(parts)
		}
		r.Epoch = rapid.SampledFrom([]string{"one", "two"}).Draw(t, "epoch")
		return r
	})
}

func specs() *rapid.Generator[decision.Spec] {
	return rapid.Custom(func(t *rapid.T) decision.Spec {
		duration := func(name string, least int64) time.Duration {
			return time.Duration(rapid.Int64Range(least, int64(time.Hour)).Draw(t, name))
		}
		maybe := func(name string) time.Duration {
			if !rapid.Bool().Draw(t, "with "+name) {
				return 0
			}
			return duration(name, 0)
		}
		s := decision.Spec{
			Target:       rapid.Float64Range(0.001, 1e9).Draw(t, "target"),
			Activation:   rapid.Float64Range(0, 1e9).Draw(t, "activation"),
			MaxAge:       maybe("max age"),
			Hold:         maybe("hold"),
			HoldActive:   maybe("hold active"),
			Count:        decision.Counts(rapid.IntRange(0, 7).Draw(t, "count")),
			Largest:      rapid.Bool().Draw(t, "largest"),
			MinReplicas:  rapid.Int64Range(0, 100).Draw(t, "min"),
			MaxStaleness: duration("max staleness", 1),
		}
		if s.DrainTime = maybe("drain time"); s.DrainTime > 0 {
			s.RateWindow = duration("rate window", 0)
		}
		if rapid.Bool().Draw(t, "bounded") {
			s.MaxReplicas = rapid.Int64Range(max(1, s.MinReplicas), 1000).Draw(t, "max")
		}
		for _, name := range rapid.SliceOfDistinct(rapid.SampledFrom([]string{"a", "b", "[ab]", "?", "*"}), rapid.ID[string]).Draw(t, "weighted") {
			s.Weights = append(s.Weights, decision.Weight{Queues: name, Value: rapid.Float64Range(1e-6, 1000).Draw(t, "weight")})
		}
		return s
	})
}

func observations() *rapid.Generator[backlog.Observation] {
	return rapid.Custom(func(t *rapid.T) backlog.Observation {
		all := rapid.SliceOfN(readings(), 1, 8).Draw(t, "readings")
		when := start.Add(-time.Hour)
		since := when
		for i := range all {
			when = when.Add(time.Duration(rapid.Int64Range(1, int64(time.Minute)).Draw(t, "step")))
			all[i].At = when
		}
		return backlog.Observation{
			Past: all[:len(all)-1], Latest: all[len(all)-1],
			Since: since, AfterStart: rapid.Bool().Draw(t, "after start"),
			LastTraffic: since.Add(time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "last traffic"))),
		}
	})
}

func lastValues() *rapid.Generator[float64] {
	return rapid.Custom(func(t *rapid.T) float64 {
		return rapid.Float64Range(0, 1e9).Draw(t, "last")
	})
}

// decide decides on what is known. Such an observation gives a decision, if perhaps
// one that is not last while the trigger settles.
func decide(t *rapid.T, spec decision.Spec, seen backlog.Observation, last float64) decision.Decision {
	d, err := decision.Decide(&spec, &seen, last, start)
	if err != nil && !errors.Is(err, decision.ErrWarmingUp) {
		t.Fatalf("a good reading gave an error: %v", err)
	}
	return d
}

func finiteAndBounded(t *rapid.T) {
	spec, seen, last := specs().Draw(t, "spec"), observations().Draw(t, "seen"), lastValues().Draw(t, "last")
	d := decide(t, spec, seen, last)
	if math.IsNaN(d.Value) || math.IsInf(d.Value, 0) || d.Value < 0 {
		t.Fatalf("value %v", d.Value)
	}
	for _, limit := range []int64{seen.Latest.MaxUseful, spec.MaxReplicas} {
		if limit > 0 && d.Value > float64(limit)*spec.Target {
			t.Fatalf("value %v exceeds the cap of %d workers at %v messages", d.Value, limit, spec.Target)
		}
	}
	floor := float64(spec.MinReplicas) * spec.Target
	if useful := float64(seen.Latest.MaxUseful) * spec.Target; useful > 0 {
		floor = min(floor, useful)
	}
	if d.Active && d.Value < floor {
		t.Fatalf("value %v of an active trigger is below the floor %v", d.Value, floor)
	}
	before := d.Value
	for _, step := range slices.Backward(d.Steps) {
		if step.After != before {
			t.Fatalf("a step ends at %v where the next begins at %v: %+v", step.After, before, d.Steps)
		}
		before = step.Before
	}
	documented := decision.Reasons()
	for _, step := range d.Steps {
		if !slices.ContainsFunc(documented, func(r decision.ReasonDoc) bool { return r.Reason == step.Reason }) {
			t.Fatalf("reason %q is not among Reasons", step.Reason)
		}
	}
	if drain := d.Drain; spec.DrainTime > 0 && (drain.Time != spec.DrainTime || !(drain.Arrivals >= 0) || math.IsInf(drain.Arrivals, 0)) {
		t.Fatalf("drain %+v", drain)
	}
	if len(d.Parts) != len(seen.Latest.Parts) {
		t.Fatalf("%d parts of %d queues", len(d.Parts), len(seen.Latest.Parts))
	}
}

func TestDecisionIsFiniteAndBounded(t *testing.T) {
	t.Parallel()
	rapid.Check(t, finiteAndBounded)
}

func FuzzDecisionIsFiniteAndBounded(f *testing.F) { f.Fuzz(rapid.MakeFuzz(finiteAndBounded)) }

func monotone(t *rapid.T) {
	spec, seen, last := specs().Draw(t, "spec"), observations().Draw(t, "seen"), lastValues().Draw(t, "last")
	more := seen
	add := func(r *backlog.Reading) {
		r.Ready += rapid.Int64Range(0, most).Draw(t, "more ready")
		r.Due += rapid.Int64Range(0, most).Draw(t, "more due")
		if r.InFlight.Known {
			r.InFlight.N += rapid.Int64Range(0, most).Draw(t, "more in flight")
		}
	}
	if n := len(seen.Latest.Parts); n > 0 {
		parts := slices.Clone(seen.Latest.Parts)
		add(&parts[rapid.IntRange(0, n-1).Draw(t, "part")].Reading)
		more.Latest = backlog.Aggregate(parts)
		more.Latest.At, more.Latest.Epoch = seen.Latest.At, seen.Latest.Epoch
	} else {
		add(&more.Latest)
	}
	less, greater := decide(t, spec, seen, last), decide(t, spec, more, last)
	// Sums of many numbers may differ in their last digits.
	if greater.Value < less.Value*(1-1e-9) || less.Active && !greater.Active {
		t.Fatalf("more work, smaller decision: %+v, then %+v", less, greater)
	}
}

func TestDecisionIsMonotoneInTheBacklog(t *testing.T) {
	t.Parallel()
	rapid.Check(t, monotone)
}

func FuzzDecisionIsMonotoneInTheBacklog(f *testing.F) { f.Fuzz(rapid.MakeFuzz(monotone)) }

func TestDecisionIsMonotoneInTheAge(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		spec, seen, last := specs().Draw(t, "spec"), observations().Draw(t, "seen"), lastValues().Draw(t, "last")
		older := seen
		by := time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "older by"))
		older.Latest.Oldest.Since = seen.Latest.Oldest.Since.Add(-by)
		older.Latest.Parts = slices.Clone(seen.Latest.Parts)
		for i := range older.Latest.Parts {
			r := &older.Latest.Parts[i].Reading
			r.Oldest.Since = r.Oldest.Since.Add(-by)
		}
		less, greater := decide(t, spec, seen, last), decide(t, spec, older, last)
		if greater.Value < less.Value || less.Active && !greater.Active {
			t.Fatalf("older work, smaller decision: %+v, then %+v", less, greater)
		}
		spec.DrainTime, spec.MinReplicas = 0, 0
		without := spec
		without.MaxAge = 0
		plain, urgent := decide(t, without, seen, 0), decide(t, spec, seen, 0)
		if urgent.Value > 4*plain.Value {
			t.Fatalf("age makes %v of %v, more than four times", urgent.Value, plain.Value)
		}
	})
}

// TestDecisionIsSteady tells the same again as long as the value moves by less than a
// tenth of a replica, and no more than that off the truth otherwise.
func TestDecisionIsSteady(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		spec := decision.Spec{Target: rapid.Float64Range(1, 1000).Draw(t, "target"), MaxStaleness: time.Second}
		var last float64
		for i, n := range rapid.SliceOfN(rapid.Int64Range(0, 1000), 1, 50).Draw(t, "backlogs") {
			d := decide(t, spec, backlog.Observation{Latest: backlog.Reading{At: start, Ready: n}}, last)
			if off := math.Abs(d.Value - float64(n)); off >= spec.Target/10 || off > 0 && d.Value != last {
				t.Fatalf("step %d: %v last of %d messages after %v", i, d.Value, n, last)
			}
			if (d.Value == 0) != (n == 0) {
				t.Fatalf("%v last of %d messages", d.Value, n)
			}
			last = d.Value
		}
	})
}
