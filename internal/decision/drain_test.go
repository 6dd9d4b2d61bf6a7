package decision_test

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/decision"
)

// drainSpec is that of the worked example: 60 s, and 2 messages a second and replica.
func drainSpec() decision.Spec {
	return decision.Spec{Target: 120, DrainTime: time.Minute, RateWindow: time.Minute, MaxStaleness: 30 * time.Second}
}

// arriving is what is known of a queue with a counter that is read each second, and
// in which 1,200 messages wait at the end. rate is how many messages arrived in the
// second before each moment.
func arriving(from int, rate func(second int) int64) backlog.Observation {
	var all []backlog.Reading
	var n int64
	for second := from; second <= 0; second++ {
		n += rate(second)
		all = append(all, backlog.Reading{At: at(second), Ready: 1200, Enqueued: backlog.Exactly(n), Epoch: "a"})
	}
	return backlog.Observation{Past: all[:len(all)-1], Latest: all[len(all)-1]}
}

func steadily(n int64) func(int) int64 { return func(int) int64 { return n } }

func TestArrivals(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		seen backlog.Observation
		slow float64
		fast float64
		low  bool
	}{
		{"ten a second", arriving(-100, steadily(10)), 10, 10, false},
		{"a window that is half full gives half as much, a fast one all", arriving(-30, steadily(10)), 5, 10, false},
		{"only one reading", arriving(0, steadily(10)), 0, 0, false},
		{
			"a rate that rises shows in the fast estimate after ten seconds",
			arriving(-100, func(second int) int64 {
				if second > -10 {
					return 100
				}
				return 10
			}), 25, 100, false,
		},
		{
			"a rate that falls stays in the slow one",
			arriving(-100, func(second int) int64 {
				if second > -30 {
					return 0
				}
				return 10
			}), 5, 0, false,
		},
		{
			"a burst is no rate",
			arriving(-100, func(second int) int64 {
				if second == -3 {
					return 1200
				}
				return 0
			}), 20, 0, false,
		},
		{
			"a counter that goes back says nothing",
			arriving(-100, func(second int) int64 {
				if second == -30 {
					return -690
				}
				return 10
			}), 59 * 10. / 60, 10, false,
		},
		{
			"other data says nothing",
			func() backlog.Observation {
				seen := arriving(-100, steadily(10))
				for i := range seen.Past[:80] {
					seen.Past[i].Epoch = "before"
					seen.Past[i].Enqueued.N = 0
				}
				return seen
			}(), 20 * 10. / 60, 10, false,
		},
		{
			"a queue that stood still for long is not divided by the moment since",
			backlog.Observation{
				Past:   []backlog.Reading{{At: at(0).Add(-20 * time.Millisecond), Enqueued: backlog.Exactly(0)}},
				Latest: backlog.Reading{At: at(0), Enqueued: backlog.Exactly(600)},
			},
			10, 0, false,
		},
		{
			"without a counter what the backlog grows by is seen, and what shrinks it is not",
			backlog.Observation{
				Past:   []backlog.Reading{ready(-50, 0), ready(-40, 300), ready(-30, 100), ready(-20, 400)},
				Latest: ready(0, 0),
			},
			10, 0, true,
		},
		{
			"work that moves from waiting to in flight has not arrived",
			backlog.Observation{
				Past:   []backlog.Reading{ready(-50, 300)},
				Latest: backlog.Reading{At: at(0), Ready: 100, InFlight: backlog.Exactly(200)},
			},
			0, 0, true,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			d, err := decision.Decide(new(drainSpec()), &tc.seen, 0, at(0))
			if err != nil {
				t.Fatal(err)
			}
			want := decision.Drain{
				Time: time.Minute, Throughput: 2, Window: time.Minute,
				Slow: tc.slow, Fast: tc.fast, Arrivals: max(tc.slow, tc.fast), LowerBound: tc.low,
			}
			if diff := cmp.Diff(want, d.Drain, cmpopts.EquateApprox(0, 1e-9)); diff != "" {
				t.Errorf("drain (-want +got):\n%s", diff)
			}
		})
	}
}

// TestDrainTime holds the worked examples of the comments and of docs/decisions.md.
func TestDrainTime(t *testing.T) {
	t.Parallel()
	old := func(age time.Duration, kind backlog.AgeKind) backlog.Observation {
		seen := arriving(-60, steadily(10))
		seen.Latest.Oldest = backlog.Age{Since: at(0).Add(-age), Kind: kind}
		return seen
	}
	for _, tc := range []struct {
		name     string
		maxAge   time.Duration
		seen     backlog.Observation
		want     float64
		replicas float64
		steps    []decision.Step
	}{
		{"nothing arrives", 0, arriving(-60, steadily(0)), 1200, 10, nil},
		{"ten arrive each second", 0, arriving(-60, steadily(10)), 1800, 15, []decision.Step{{decision.ReasonDrainTime, 1200, 1800}}},
		{
			"the oldest waits for half as long again as it should", 30 * time.Second, old(45*time.Second, backlog.AgeExact),
			2400, 20,
			[]decision.Step{{decision.ReasonMaxAge, 1200, 1800}, {decision.ReasonDrainTime, 1800, 2400}},
		},
		{"it may wait that long", time.Minute, old(45*time.Second, backlog.AgeExact), 1800, 15, []decision.Step{{decision.ReasonDrainTime, 1200, 1800}}},
		{
			"at least that old", 30 * time.Second, old(45*time.Second, backlog.AgeLowerBound),
			2400, 20,
			[]decision.Step{{decision.ReasonMaxAge, 1200, 1800}, {decision.ReasonDrainTime, 1800, 2400}},
		},
		{"an age that is not known", 30 * time.Second, old(45*time.Second, backlog.AgeUnknown), 1800, 15, []decision.Step{{decision.ReasonDrainTime, 1200, 1800}}},
		{
			"a message that no worker can take", 30 * time.Second, old(24*time.Hour, backlog.AgeExact),
			5400, 45,
			[]decision.Step{{decision.ReasonMaxAge, 1200, 4800}, {decision.ReasonDrainTime, 4800, 5400}},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			spec := drainSpec()
			spec.MaxAge = tc.maxAge
			d, err := decision.Decide(&spec, &tc.seen, 0, at(0))
			if err != nil {
				t.Fatal(err)
			}
			if replicas := math.Ceil(d.Value / d.Target); d.Value != tc.want || replicas != tc.replicas || !d.Active {
				t.Errorf("value %v, %v replicas, active %t, want %v, %v", d.Value, replicas, d.Active, tc.want, tc.replicas)
			}
			if diff := cmp.Diff(tc.steps, d.Steps); diff != "" {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
		})
	}
}

// TestAgeInTargetMode scales what waits and leaves alone what is in flight.
func TestAgeInTargetMode(t *testing.T) {
	t.Parallel()
	seen := backlog.Observation{Latest: backlog.Reading{
		At: at(0), Ready: 20, InFlight: backlog.Exactly(4), Oldest: backlog.Age{Since: at(-90), Kind: backlog.AgeExact},
	}}
	spec := decision.Spec{Target: 5, MaxAge: time.Minute, MaxStaleness: time.Second}
	d, err := decision.Decide(&spec, &seen, 0, at(0))
	want := decision.Decision{Value: 34, Target: 5, Active: true, Steps: []decision.Step{{decision.ReasonMaxAge, 24, 34}}}
	if diff := cmp.Diff(want, d); diff != "" || err != nil {
		t.Errorf("decision (-want +got):\n%s\n%v", diff, err)
	}
}
