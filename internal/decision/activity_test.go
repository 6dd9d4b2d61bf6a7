package decision_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/decision"
)

func TestActivity(t *testing.T) {
	t.Parallel()
	working := backlog.Reading{At: at(0), InFlight: backlog.Exactly(1)}
	note := func(why decision.Reason, value float64) []decision.Step { return []decision.Step{{why, value, value}} }
	for _, tc := range []struct {
		name string
		spec decision.Spec
		seen backlog.Observation
		want decision.Decision
	}{
		{
			name: "work in flight that does not count",
			spec: decision.Spec{Count: decision.CountReady}, seen: backlog.Observation{Latest: working},
			want: decision.Decision{Active: true, Steps: note(decision.ReasonInFlight, 0)},
		},
		{
			name: "work in flight below the activation",
			spec: decision.Spec{Activation: 5}, seen: backlog.Observation{Latest: working},
			want: decision.Decision{Value: 1, Active: true, Steps: note(decision.ReasonInFlight, 1)},
		},
		{
			name: "work a moment ago",
			spec: decision.Spec{HoldActive: time.Minute}, seen: backlog.Observation{Past: []backlog.Reading{ready(-20, 3)}, Latest: ready(0, 0)},
			want: decision.Decision{Active: true, Until: at(40), Steps: note(decision.ReasonHoldActive, 0)},
		},
		{
			name: "work that did not count a moment ago",
			spec: decision.Spec{HoldActive: time.Minute, Count: decision.CountReady},
			seen: backlog.Observation{Past: []backlog.Reading{{At: at(-20), InFlight: backlog.Exactly(1)}}, Latest: ready(0, 0)},
			want: decision.Decision{Active: true, Until: at(40), Steps: note(decision.ReasonHoldActive, 0)},
		},
		{
			name: "work longer ago",
			spec: decision.Spec{HoldActive: time.Minute}, seen: backlog.Observation{Past: []backlog.Reading{ready(-60, 3)}, Latest: ready(0, 0)},
		},
		{
			name: "a value is held and the trigger is not",
			spec: decision.Spec{Hold: time.Minute}, seen: backlog.Observation{Past: []backlog.Reading{ready(-20, 3)}, Latest: ready(0, 0)},
			want: decision.Decision{Value: 3, Until: at(40), Steps: []decision.Step{{decision.ReasonHold, 0, 3}}},
		},
		{
			name: "a drained queue that changes stays active",
			spec: decision.Spec{HoldActive: time.Minute}, seen: backlog.Observation{Latest: ready(0, 0), LastTraffic: at(-20)},
			want: decision.Decision{Active: true, Until: at(40), Steps: note(decision.ReasonCounterMoved, 0)},
		},
		{
			name: "until it changes no more",
			spec: decision.Spec{HoldActive: time.Minute}, seen: backlog.Observation{Latest: ready(0, 0), LastTraffic: at(-60)},
		},
		{
			name: "not without the parameter",
			seen: backlog.Observation{Latest: ready(0, 0), LastTraffic: at(0)},
		},
		{
			name: "some work may wait here without a worker",
			spec: decision.Spec{HoldActive: time.Minute, Activation: 5}, seen: backlog.Observation{Latest: ready(0, 2), LastTraffic: at(0)},
			want: decision.Decision{Value: 2},
		},
		{
			name: "a paused queue hands out nothing",
			spec: decision.Spec{HoldActive: time.Minute},
			seen: backlog.Observation{Latest: backlog.Reading{At: at(0), Ready: 2, Paused: true}, LastTraffic: at(0)},
			want: decision.Decision{Steps: []decision.Step{{decision.ReasonPaused, 2, 0}}},
		},
		{
			name: "what goes on arriving keeps a trigger with a drain time active",
			spec: decision.Spec{DrainTime: 10 * time.Second, RateWindow: time.Minute},
			seen: backlog.Observation{
				Past:   []backlog.Reading{{At: at(-10), Enqueued: backlog.Exactly(0)}, {At: at(-5), Enqueued: backlog.Exactly(30)}},
				Latest: backlog.Reading{At: at(0), Enqueued: backlog.Exactly(60)},
			},
			want: decision.Decision{
				Value: 60, Active: true, Until: at(1), Steps: []decision.Step{{decision.ReasonDrainTime, 0, 60}},
				Drain: decision.Drain{Time: 10 * time.Second, Throughput: 0.5, Arrivals: 6, Slow: 1, Fast: 6, Window: time.Minute},
			},
		},
		{
			name: "what arrived all at once and is gone does not",
			spec: decision.Spec{DrainTime: 10 * time.Second, RateWindow: time.Minute},
			seen: backlog.Observation{Past: []backlog.Reading{{At: at(-50), Enqueued: backlog.Exactly(0)}}, Latest: backlog.Reading{At: at(0), Enqueued: backlog.Exactly(60)}},
			want: decision.Decision{
				Value: 10, Steps: []decision.Step{{decision.ReasonDrainTime, 0, 10}},
				Drain: decision.Drain{Time: 10 * time.Second, Throughput: 0.5, Arrivals: 1, Slow: 1, Window: time.Minute},
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tc.spec.Target, tc.want.Target, tc.spec.MaxStaleness = 5, 5, 30*time.Second
			got, err := decision.Decide(&tc.spec, &tc.seen, 0, at(0))
			if diff := cmp.Diff(tc.want, got); diff != "" || err != nil {
				t.Errorf("decision (-want +got):\n%s\n%v", diff, err)
			}
		})
	}
}

func TestBoundsAndNoise(t *testing.T) {
	t.Parallel()
	limited := func(n, most int64) backlog.Reading { return backlog.Reading{At: at(0), Ready: n, MaxUseful: most} }
	for _, tc := range []struct {
		name         string
		spec         decision.Spec
		now          backlog.Reading
		lastReported float64
		value        float64
		steps        []decision.Step
	}{
		{"a floor", decision.Spec{MinReplicas: 3}, ready(0, 1), 0, 15, []decision.Step{{decision.ReasonMinReplicas, 1, 15}}},
		{"a floor of an idle trigger", decision.Spec{MinReplicas: 3}, ready(0, 0), 0, 0, nil},
		{"a ceiling", decision.Spec{MaxReplicas: 4}, ready(0, 99), 0, 20, []decision.Step{{decision.ReasonMaxReplicas, 99, 20}}},
		{"both, and between them", decision.Spec{MinReplicas: 3, MaxReplicas: 4}, ready(0, 17), 0, 17, nil},
		{
			"what more workers cannot help with comes last",
			decision.Spec{MinReplicas: 3, MaxReplicas: 4},
			limited(1, 2), 0, 10,
			[]decision.Step{{decision.ReasonMinReplicas, 1, 15}, {decision.ReasonWorkerLimit, 15, 10}},
		},
		{"noise", decision.Spec{Target: 50}, ready(0, 104), 100, 100, []decision.Step{{decision.ReasonDeadband, 104, 100}}},
		{"noise downward", decision.Spec{Target: 50}, ready(0, 96), 100, 100, []decision.Step{{decision.ReasonDeadband, 96, 100}}},
		{"a tenth of a replica", decision.Spec{Target: 50}, ready(0, 105), 100, 105, nil},
		{"nothing is not noise", decision.Spec{Target: 50}, ready(0, 0), 3, 0, nil},
		{"something is not noise", decision.Spec{Target: 50}, ready(0, 3), 0, 3, nil},
		{"the activation is between", decision.Spec{Target: 50, Activation: 101}, ready(0, 102), 100, 102, nil},
		{
			"bounds come after noise",
			decision.Spec{Target: 50, MaxReplicas: 2},
			ready(0, 104), 101, 100,
			[]decision.Step{{decision.ReasonDeadband, 104, 101}, {decision.ReasonMaxReplicas, 101, 100}},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tc.spec.Target, tc.spec.MaxStaleness = max(tc.spec.Target, 5), 30*time.Second
			d, err := decision.Decide(&tc.spec, &backlog.Observation{Latest: tc.now}, tc.lastReported, at(0))
			if err != nil || d.Value != tc.value {
				t.Errorf("value %v, error %v, want %v", d.Value, err, tc.value)
			}
			if diff := cmp.Diff(tc.steps, d.Steps); diff != "" {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWarmingUp(t *testing.T) {
	t.Parallel()
	seen := func(since int, all ...backlog.Reading) backlog.Observation {
		return backlog.Observation{Past: all[:len(all)-1], Latest: all[len(all)-1], Since: at(since), AfterStart: true}
	}
	later := func(o backlog.Observation) backlog.Observation { o.AfterStart = false; return o }
	changed := func(o backlog.Observation) backlog.Observation { o.LastTraffic = at(-1); return o }
	held := decision.Spec{Hold: time.Minute, HoldActive: time.Minute}
	for _, tc := range []struct {
		name   string
		spec   decision.Spec
		seen   backlog.Observation
		value  float64
		active bool
		until  time.Time
		err    string
	}{
		{"as much as at first", held, seen(-20, ready(0, 12)), 12, true, at(40), "warming up after a start: the hold window of 1m0s fills in 40s, and no value exceeded the first one (12)"},
		{"less", held, seen(-20, ready(-19, 12), ready(0, 5)), 12, true, at(40), "warming up after a start: the hold window of 1m0s fills in 40s, and no value exceeded the first one (12)"},
		{"growth", held, seen(-20, ready(-19, 12), ready(0, 13)), 13, true, time.Time{}, ""},
		{"growth that is held", held, seen(-20, ready(-19, 12), ready(-10, 13), ready(0, 1)), 13, true, at(50), ""},
		{"the window is full", held, seen(-60, ready(0, 12)), 12, true, time.Time{}, ""},
		{"asked for later", held, later(seen(-20, ready(0, 12))), 12, true, time.Time{}, ""},
		{"no hold", decision.Spec{}, seen(-20, ready(0, 0)), 0, false, time.Time{}, ""},
		{
			"no work yet",
			decision.Spec{HoldActive: time.Minute},
			seen(-20, ready(0, 0)), 0, false, at(40),
			"warming up after a start: the holdActive window of 1m0s fills in 40s, and no reading found work",
		},
		{"a hold for activity alone tells every value", decision.Spec{HoldActive: time.Minute}, seen(-20, ready(-19, 12), ready(0, 5)), 5, true, time.Time{}, ""},
		{"a queue that changes may have been in use", decision.Spec{HoldActive: time.Minute}, changed(seen(-20, ready(0, 0))), 0, true, at(59), ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tc.spec.Target, tc.spec.MaxStaleness = 5, 30*time.Second
			d, err := decision.Decide(&tc.spec, &tc.seen, 0, at(0))
			if d.Value != tc.value || d.Active != tc.active || !d.Until.Equal(tc.until) {
				t.Errorf("%+v, want value %v, active %t, until %v", d, tc.value, tc.active, tc.until)
			}
			if tc.err == "" && err != nil || tc.err != "" && (!errors.Is(err, decision.ErrWarmingUp) || err.Error() != tc.err) {
				t.Errorf("error\n%v, want\n%s", err, tc.err)
			}
		})
	}
}
