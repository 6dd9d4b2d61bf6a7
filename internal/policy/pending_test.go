package policy_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/policy"
)

func TestPending(t *testing.T) {
	t.Parallel()
	spec := policy.Spec{
		MaxReplicas: 100,
		Signals:     []policy.Signal{backlog()},
		Up:          &policy.StepUp{Pods: 4, Period: 30 * time.Second, ReadyPercent: 75, StuckAfter: 10 * time.Minute},
		Down:        &policy.StepDown{Pods: 2, Period: time.Minute, Hold: 5 * time.Minute},
		Busy:        &policy.BusyPods{Keep: policy.Strict, GiveUpAfter: 20 * time.Minute},
	}
	endless := spec
	endless.Up = &policy.StepUp{Pods: 4, ReadyPercent: 100}
	endless.Busy = &policy.BusyPods{Keep: policy.Strict}
	changed := func(n, available int32, ago int) policy.Target {
		return policy.Target{Replicas: n, Available: available, LastScale: at(-ago)}
	}
	busy := changed(3, 3, 120)
	busy.Pods = policy.Pods{Known: true, All: []policy.Pod{
		{Busy: true, Scheduled: true, Running: true, Ready: true}, {Scheduled: true, Running: true, Ready: true}, {Scheduled: true, Running: true, Ready: true},
	}}
	seen := func(replicas int32, held ...policy.Wanted) policy.State {
		return policy.State{At: at(-15), Replicas: replicas, Held: held}
	}
	for _, tc := range []struct {
		name   string
		spec   policy.Spec
		target policy.Target
		value  int
		state  policy.State
		want   policy.Pending
	}{
		{"nothing", spec, changed(4, 4, 300), 80, seen(4), policy.Pending{}},
		{"a step has begun", spec, changed(4, 4, 300), 2000, seen(4), policy.Pending{Step: policy.LastStep{From: 4, To: 8, At: at(0)}}},
		{"growth waits for the period", spec, changed(4, 4, 10), 2000, seen(4), policy.Pending{Period: at(20)}},
		{
			"growth waits for three of four replicas", spec, changed(4, 2, 60), 2000, seen(4),
			policy.Pending{Required: 3, Waiting: at(-60), StuckAt: at(540)},
		},
		{"growth waits without an end", endless, changed(4, 2, 60), 2000, seen(4), policy.Pending{Required: 4, Waiting: at(-60)}},
		{
			"a larger number is held", spec, changed(4, 4, 300), 20, seen(4, policy.Wanted{At: at(-100), Replicas: 3}),
			policy.Pending{Held: policy.Wanted{At: at(-100), Replicas: 3}, HeldUntil: at(200), Sparing: at(0), GiveUpAt: at(1200)},
		},
		{"a fall waits for the period", spec, changed(4, 4, 15), 0, seen(4), policy.Pending{Period: at(45)}},
		{"a busy pod delays a fall", spec, busy, 0, seen(3), policy.Pending{Sparing: at(0), GiveUpAt: at(1200)}},
		{"a busy pod delays a fall without an end", endless, busy, 0, seen(3), policy.Pending{Sparing: at(0)}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			p := compiled(t, tc.spec)
			d, err := p.Decide(policy.Input{Signals: signals("backlog", tc.value), Target: tc.target, State: tc.state}, start)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, p.Pending(&d, &tc.target)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", text(d), diff)
			}
		})
	}
}

func TestDemand(t *testing.T) {
	t.Parallel()
	booked := policy.Signal{Name: "booked", Target: 40, MaxStaleness: time.Minute, WhenUnknown: policy.Ignore}
	two := []policy.Signal{backlog(), booked}
	unknown := backlog()
	unknown.WhenUnknown = policy.Ignore
	for _, tc := range []struct {
		name  string
		spec  policy.Spec
		value map[string]policy.Observation
		want  policy.Demand
	}{
		{"the largest need", policy.Spec{Signals: two}, signals("backlog", 90, "booked", 300), policy.Demand{Reason: policy.ReasonNeed, Signal: "booked", Replicas: 7.5}},
		{"a formula", policy.Spec{Signals: two, Formula: "need.backlog + 0.25"}, signals("backlog", 90, "booked", 0), policy.Demand{Reason: policy.ReasonFormula, Replicas: 4.75}},
		{"no need", policy.Spec{Signals: two}, signals("backlog", 0, "booked", 0), policy.Demand{Reason: policy.ReasonNeed, Signal: "backlog"}},
		{"the current replicas", policy.Spec{Signals: []policy.Signal{unknown}}, nil, policy.Demand{Reason: policy.ReasonCurrent, Replicas: 4}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tc.spec.MaxReplicas = 100
			d, err := compiled(t, tc.spec).Decide(policy.Input{Signals: tc.value, Target: steady(4)}, start)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, d.Demand); diff != "" {
				t.Errorf("demand (-want +got):\n%s", diff)
			}
		})
	}
}
