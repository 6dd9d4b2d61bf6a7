package decision_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/decision"
)

// measured is a reading of a number in thousandths.
func measured(seconds int, milli int64) backlog.Reading {
	return backlog.Reading{At: at(seconds), Measured: backlog.Measurement{Milli: milli, Known: true}}
}

func TestMeasured(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spec decision.Spec
		seen backlog.Observation
		want decision.Decision
	}{
		"thousandths survive": {
			decision.Spec{Target: 0.25},
			backlog.Observation{Latest: measured(0, 931)},
			decision.Decision{Value: 0.931, Target: 0.25, Active: true},
		},
		"the least number is active": {
			decision.Spec{Target: 5},
			backlog.Observation{Latest: measured(0, 1)},
			decision.Decision{Value: 0.001, Target: 5, Active: true},
		},
		"zero is inactive": {
			decision.Spec{Target: 5},
			backlog.Observation{Latest: measured(0, 0)},
			decision.Decision{Target: 5},
		},
		"a negative number asks for nothing": {
			decision.Spec{Target: 5},
			backlog.Observation{Latest: measured(0, -7000)},
			decision.Decision{Target: 5},
		},
		"activation must be exceeded": {
			decision.Spec{Target: 0.5, Activation: 0.75},
			backlog.Observation{Latest: measured(0, 750)},
			decision.Decision{Value: 0.75, Target: 0.5},
		},
		"activation is exceeded": {
			decision.Spec{Target: 0.5, Activation: 0.75},
			backlog.Observation{Latest: measured(0, 751)},
			decision.Decision{Value: 0.751, Target: 0.5, Active: true},
		},
		"the parts of a backlog do not matter": {
			decision.Spec{Target: 1, Count: decision.CountInFlight},
			backlog.Observation{Latest: measured(0, 2500)},
			decision.Decision{Value: 2.5, Target: 1, Active: true},
		},
		"a hold keeps a larger number": {
			decision.Spec{Target: 1, Hold: time.Minute},
			backlog.Observation{Latest: measured(10, 500), Past: []backlog.Reading{measured(0, 2500)}},
			decision.Decision{Value: 2.5, Target: 1, Active: true, Until: at(60), Steps: []decision.Step{{Reason: decision.ReasonHold, Before: 0.5, After: 2.5}}},
		},
		"replicas are bounded": {
			decision.Spec{Target: 0.1, MaxReplicas: 4},
			backlog.Observation{Latest: measured(0, 900)},
			decision.Decision{Value: 0.4, Target: 0.1, Active: true, Steps: []decision.Step{{Reason: decision.ReasonMaxReplicas, Before: 0.9, After: 0.4}}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := decision.Decide(&c.spec, &c.seen, 0, at(10))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestMeasuredIsTheValue has any number: the value is that number, or 0 for a negative one, and it
// grows with the number.
func TestMeasuredIsTheValue(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		milli := rapid.Int64Range(-1<<53, 1<<53).Draw(t, "milli")
		spec := decision.Spec{Target: rapid.Float64Range(0.001, 1e6).Draw(t, "target")}
		got, err := decision.Decide(&spec, &backlog.Observation{Latest: measured(0, milli)}, 0, at(0))
		if err != nil {
			t.Fatal(err)
		}
		if want := max(0, float64(milli)/1000); got.Value != want || got.Active != (want > 0) {
			t.Errorf("%d thousandths are %+v", milli, got)
		}
		more, err := decision.Decide(&spec, &backlog.Observation{Latest: measured(0, milli+1)}, 0, at(0))
		if err != nil || more.Value < got.Value {
			t.Errorf("a larger number is %+v (%v), less than %+v", more, err, got)
		}
	})
}
