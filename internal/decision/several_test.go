package decision_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/decision"
)

// several is a reading of queues named a, b, c and so on.
func several(seconds int, queues ...backlog.Reading) backlog.Reading {
	var parts []backlog.Part
	for i, r := range queues {
		parts = append(parts, backlog.Part{Queue: string(rune('a' + i)), Reading: r})
	}
	r := backlog.Aggregate(parts)
	r.At = at(seconds)
	return r
}

func waiting(n int64) backlog.Reading { return backlog.Reading{Ready: n} }

func TestSeveralQueues(t *testing.T) {
	t.Parallel()
	weights := []decision.Weight{{Queues: "a", Value: 3}, {Queues: "?", Value: 0.5}}
	for _, tc := range []struct {
		name  string
		spec  decision.Spec
		seen  backlog.Observation
		value float64
		parts []decision.Part
		steps []decision.Step
	}{
		{
			name: "the sum", seen: backlog.Observation{Latest: several(0, waiting(20), waiting(10))}, value: 30,
			parts: []decision.Part{{Queue: "a", Count: 20, Weight: 1, Value: 20}, {Queue: "b", Count: 10, Weight: 1, Value: 10}},
		},
		{
			name: "weights, the first that matches", spec: decision.Spec{Weights: weights},
			seen: backlog.Observation{Latest: several(0, waiting(20), waiting(10))}, value: 65,
			parts: []decision.Part{{Queue: "a", Count: 20, Weight: 3, Value: 60}, {Queue: "b", Count: 10, Weight: 0.5, Value: 5}},
			steps: []decision.Step{{decision.ReasonWeights, 30, 65}},
		},
		{
			name: "the largest of them", spec: decision.Spec{Weights: weights, Largest: true},
			seen: backlog.Observation{Latest: several(0, waiting(20), waiting(10))}, value: 60,
			parts: []decision.Part{{Queue: "a", Count: 20, Weight: 3, Value: 60}, {Queue: "b", Count: 10, Weight: 0.5, Value: 5}},
			steps: []decision.Step{{decision.ReasonWeights, 30, 65}, {decision.ReasonCombine, 65, 60}},
		},
		{
			name: "of a paused queue only what is in flight",
			seen: backlog.Observation{Latest: several(0, waiting(20), backlog.Reading{Ready: 10, InFlight: backlog.Exactly(2), Paused: true})}, value: 22,
			parts: []decision.Part{{Queue: "a", Count: 20, Weight: 1, Value: 20}, {Queue: "b", Count: 12, Weight: 1, Value: 2, Paused: true}},
			steps: []decision.Step{{decision.ReasonPaused, 32, 22}},
		},
		{
			name: "a limit is that of its queue",
			seen: backlog.Observation{Latest: several(0, waiting(20), backlog.Reading{Ready: 90, MaxUseful: 3})}, value: 35,
			parts: []decision.Part{{Queue: "a", Count: 20, Weight: 1, Value: 20}, {Queue: "b", Count: 90, Weight: 1, Value: 15, WorkerLimited: true}},
			steps: []decision.Step{{decision.ReasonWorkerLimit, 110, 35}},
		},
		{
			name: "a queue that does not exist is nothing",
			seen: backlog.Observation{Latest: several(0, waiting(20), backlog.Reading{Missing: true})}, value: 20,
			parts: []decision.Part{{Queue: "a", Count: 20, Weight: 1, Value: 20}, {Queue: "b", Weight: 1}},
		},
		{
			name: "the past is weighed the same way, and limited as now", spec: decision.Spec{Weights: weights, Hold: time.Minute},
			seen: backlog.Observation{
				Past:   []backlog.Reading{several(-10, waiting(90), waiting(2), waiting(4))},
				Latest: several(0, backlog.Reading{Ready: 1, MaxUseful: 8}, waiting(10)),
			}, value: 43,
			parts: []decision.Part{{Queue: "a", Count: 1, Weight: 3, Value: 3}, {Queue: "b", Count: 10, Weight: 0.5, Value: 5}},
			steps: []decision.Step{{decision.ReasonWeights, 11, 8}, {decision.ReasonHold, 8, 43}},
		},
		{
			name: "each has its own age", spec: decision.Spec{MaxAge: 30 * time.Second},
			seen: backlog.Observation{Latest: several(0, waiting(20), backlog.Reading{Ready: 10, Oldest: backlog.Age{Since: at(-60), Kind: backlog.AgeExact}})}, value: 40,
			parts: []decision.Part{{Queue: "a", Count: 20, Weight: 1, Value: 20}, {Queue: "b", Count: 10, Weight: 1, Value: 20}},
			steps: []decision.Step{{decision.ReasonMaxAge, 30, 40}},
		},
		{
			name: "arrivals of each count with its weight", spec: decision.Spec{DrainTime: 10 * time.Second, RateWindow: time.Minute, Weights: weights},
			seen: backlog.Observation{
				Past:   []backlog.Reading{several(-60, backlog.Reading{Enqueued: backlog.Exactly(100)}, waiting(0))},
				Latest: several(0, backlog.Reading{Ready: 20, Enqueued: backlog.Exactly(700)}, waiting(30), waiting(60)),
			}, value: 60 + 15 + 30 + 10*(3*10+0.5*0.5+0.5),
			parts: []decision.Part{
				{Queue: "a", Count: 20, Weight: 3, Arrivals: 10, Value: 3 * (20 + 10*10)},
				{Queue: "b", Count: 30, Weight: 0.5, Arrivals: 0.5, Value: 0.5 * (30 + 10*0.5)},
				{Queue: "c", Count: 60, Weight: 0.5, Arrivals: 1, Value: 0.5 * (60 + 10*1)},
			},
			steps: []decision.Step{{decision.ReasonWeights, 110, 105}, {decision.ReasonDrainTime, 105, 412.5}},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tc.spec.Target, tc.spec.MaxStaleness = 5, 30*time.Second
			d, err := decision.Decide(&tc.spec, &tc.seen, 0, at(0))
			if err != nil {
				t.Fatal(err)
			}
			if d.Value != tc.value || !d.Active {
				t.Errorf("value %v, active %t, want %v", d.Value, d.Active, tc.value)
			}
			if diff := cmp.Diff(tc.parts, d.Parts); diff != "" {
				t.Errorf("parts (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.steps, d.Steps); diff != "" {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
		})
	}
}
