package policy_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/policy"
	"github.com/backlog-scaler/backlog-scaler/internal/schedule"
)

// seen is a value that was read now.
func seen(value float64) policy.Observation { return policy.Observation{Value: value, At: at(0)} }

// steady is a workload whose replicas are all available.
func steady(n int32) policy.Target { return policy.Target{Replicas: n, Available: n} }

// text writes a decision in one line: the number, whether the workload is active if that does
// not follow from the number, and each step.
func text(d policy.Decision) string {
	var line strings.Builder
	fmt.Fprint(&line, d.Replicas)
	if d.Active != (d.Replicas > 0) {
		fmt.Fprintf(&line, " active %t", d.Active)
	}
	for _, step := range d.Steps {
		fmt.Fprintf(&line, "; %s", step.Reason)
		if step.Name != "" {
			line.WriteString(" " + step.Name)
		}
		if step.Before != step.After {
			fmt.Fprintf(&line, " %d->%d", step.Before, step.After)
		}
	}
	return line.String()
}

// An example is a policy, what is known, and the decision.
type example struct {
	name string
	spec policy.Spec
	in   policy.Input
	// want is the decision as text writes it, or a part of the error.
	want string
	// until is when the decision may change, in seconds from now; zero for never.
	until int
	err   error
}

func (e example) run(t *testing.T) {
	t.Helper()
	if e.spec.MaxReplicas == 0 {
		e.spec.MaxReplicas = 100
	}
	d, err := compiled(t, e.spec).Decide(e.in, start)
	if e.err != nil {
		if !errors.Is(err, e.err) || !strings.Contains(err.Error(), e.want) {
			t.Errorf("error %v, want %v with %q", err, e.err, e.want)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(e.want, text(d)); diff != "" {
		t.Errorf("decision (-want +got):\n%s", diff)
	}
	if e.until == 0 && !d.Until.IsZero() || e.until != 0 && !d.Until.Equal(at(e.until)) {
		t.Errorf("until %s (%s), want %d s", d.Until, d.Until.Sub(start), e.until)
	}
}

func signals(pairs ...any) map[string]policy.Observation {
	all := make(map[string]policy.Observation)
	for i := 0; i < len(pairs); i += 2 {
		name, _ := pairs[i].(string)
		switch value := pairs[i+1].(type) {
		case int:
			all[name] = seen(float64(value))
		case float64:
			all[name] = seen(value)
		case policy.Observation:
			all[name] = value
		}
	}
	return all
}

func TestSignals(t *testing.T) {
	t.Parallel()
	booked := policy.Signal{Name: "booked", Target: 40, MaxStaleness: time.Minute}
	latency := policy.Signal{Name: "latency", MaxStaleness: time.Minute}
	down := errors.New("connection refused")
	two := []policy.Signal{backlog(), booked}
	with := func(when policy.WhenUnknown, value float64) []policy.Signal {
		s := booked
		s.WhenUnknown, s.Value = when, value
		return []policy.Signal{backlog(), s}
	}
	const mixed = "max(need.backlog, need.booked) * (latency > 2 ? 1.5 : 1)"
	for _, e := range []example{
		{
			name: "90 messages need 5 replicas that take 20 each",
			spec: policy.Spec{Signals: []policy.Signal{backlog()}}, in: policy.Input{Signals: signals("backlog", 90)},
			want: "5; need backlog 0->5",
		},
		{
			name: "an empty queue needs none",
			spec: policy.Spec{Signals: []policy.Signal{backlog()}}, in: policy.Input{Signals: signals("backlog", 0)},
			want: "0",
		},
		{
			name: "the largest need counts",
			spec: policy.Spec{Signals: two}, in: policy.Input{Signals: signals("backlog", 90, "booked", 400)},
			want: "10; need booked 0->10",
		},
		{
			name: "0.3 by 0.1 are 3, whatever floating point says",
			spec: policy.Spec{Signals: []policy.Signal{{Name: "rate", Target: 0.1, MaxStaleness: time.Minute}}},
			in:   policy.Input{Signals: signals("rate", 0.1+0.2)},
			want: "3; need rate 0->3",
		},
		{
			name: "a formula mixes signals",
			spec: policy.Spec{Signals: append(two, latency), Formula: mixed},
			in:   policy.Input{Signals: signals("backlog", 80, "booked", 40, "latency", 2.5)},
			want: "6; formula 0->6",
		},
		{
			name: "a formula may use replicas",
			spec: policy.Spec{Signals: []policy.Signal{latency}, Formula: "latency > 2 ? current + 1 : ready"},
			in:   policy.Input{Signals: signals("latency", 3), Target: policy.Target{Replicas: 4, Available: 3}},
			want: "5; formula 0->5",
		},
		{
			name: "less than nothing is nothing",
			spec: policy.Spec{Signals: []policy.Signal{latency}, Formula: "-latency"}, in: policy.Input{Signals: signals("latency", 3)},
			want: "0",
		},
		{
			name: "a queue may bring its own target",
			spec: policy.Spec{Signals: []policy.Signal{{Name: "backlog", OwnTarget: true, MaxStaleness: time.Minute}}},
			in:   policy.Input{Signals: signals("backlog", policy.Observation{Value: 1800, Target: 120, At: at(0)})},
			want: "15; need backlog 0->15",
		},
		{
			name: "and is unknown without it",
			spec: policy.Spec{Signals: []policy.Signal{{Name: "backlog", OwnTarget: true, MaxStaleness: time.Minute}}},
			in:   policy.Input{Signals: signals("backlog", 1800)},
			err:  policy.ErrUnknown, want: "backlog: not a finite number",
		},
		{
			name: "a signal that was never read is no zero",
			spec: policy.Spec{Signals: two}, in: policy.Input{Signals: signals("backlog", 90)},
			err: policy.ErrUnknown, want: "signal unknown: booked: not read yet",
		},
		{
			name: "nor one that could never be read",
			spec: policy.Spec{Signals: two}, in: policy.Input{Signals: signals("backlog", 90, "booked", policy.Observation{Err: down})},
			err: policy.ErrUnknown, want: "signal unknown: booked: connection refused",
		},
		{
			name: "nor one that is no number",
			spec: policy.Spec{Signals: two}, in: policy.Input{Signals: signals("backlog", 90, "booked", math.NaN())},
			err: policy.ErrUnknown, want: "booked: not a finite number",
		},
		{
			name: "an outage is bridged by the last good value",
			spec: policy.Spec{Signals: two},
			in:   policy.Input{Signals: signals("backlog", 90, "booked", policy.Observation{Value: 400, At: at(-50), Err: down})},
			want: "10; stale booked; need booked 0->10", until: 10,
		},
		{
			name: "and then it is an error",
			spec: policy.Spec{Signals: two},
			in:   policy.Input{Signals: signals("backlog", 90, "booked", policy.Observation{Value: 400, At: at(-61), Err: down})},
			err:  policy.ErrUnknown, want: "booked: last read 1m1s ago: connection refused",
		},
		{
			name: "a signal that nothing uses may be unknown",
			spec: policy.Spec{Signals: []policy.Signal{backlog(), latency}}, in: policy.Input{Signals: signals("backlog", 90)},
			want: "5; need backlog 0->5",
		},
		{
			name: "an ignored signal is left out",
			spec: policy.Spec{Signals: with(policy.Ignore, 0)}, in: policy.Input{Signals: signals("backlog", 90)},
			want: "5; ignored booked; need backlog 0->5",
		},
		{
			name: "and with it a formula that uses it",
			spec: policy.Spec{Signals: with(policy.Ignore, 0), Formula: "need.backlog + 10 * booked"},
			in:   policy.Input{Signals: signals("backlog", 90)},
			want: "5; ignored booked; need backlog 0->5",
		},
		{
			name: "if no signal is left, the current replicas are wanted",
			spec: policy.Spec{Signals: with(policy.Ignore, 0)[1:]}, in: policy.Input{Target: steady(7)},
			want: "7; ignored booked; current 0->7",
		},
		{
			name: "and windows go on",
			spec: policy.Spec{Signals: with(policy.Ignore, 0)[1:], Schedules: []schedule.Spec{office(10)}}, in: policy.Input{Target: steady(7)},
			want: "10; ignored booked; current 0->7; floor office 7->10", until: 7 * 3600,
		},
		{
			name: "a value stands for an unknown signal",
			spec: policy.Spec{Signals: with(policy.UseValue, 400)}, in: policy.Input{Signals: signals("backlog", 90)},
			want: "10; value booked; need booked 0->10",
		},
		{
			name: "a division by zero is an error",
			spec: policy.Spec{Signals: two, Formula: "backlog / booked"}, in: policy.Input{Signals: signals("backlog", 90, "booked", 0)},
			err: policy.ErrFormula, want: "formula has no result: evaluate: not a finite number at 1:9",
		},
		{
			name: "a policy of windows alone wants none outside of them",
			spec: policy.Spec{Schedules: []schedule.Spec{{
				Name: "night", TimeZone: "Europe/Berlin", Start: "0 22 * * *", Duration: 8 * time.Hour, Floor: new(int32(3)),
			}}},
			want: "0", until: 9 * 3600,
		},
	} {
		t.Run(e.name, func(t *testing.T) { t.Parallel(); e.run(t) })
	}
}

func TestBounds(t *testing.T) {
	t.Parallel()
	lunch := schedule.Spec{Name: "lunch", TimeZone: "Europe/Berlin", Start: "0 12 * * *", Duration: 2 * time.Hour, Ceiling: new(int32(3))}
	exact := schedule.Spec{Name: "sale", From: at(-60), Until: at(60), Exact: new(int32(40)), Priority: 10}
	for _, e := range []example{
		{
			name: "a window has a floor",
			spec: policy.Spec{Signals: []policy.Signal{backlog()}, Schedules: []schedule.Spec{office(8)}},
			in:   policy.Input{Signals: signals("backlog", 90)},
			want: "8; need backlog 0->5; floor office 5->8", until: 7 * 3600,
		},
		{
			name: "a window has a ceiling",
			spec: policy.Spec{Signals: []policy.Signal{backlog()}, Schedules: []schedule.Spec{lunch}},
			in:   policy.Input{Signals: signals("backlog", 90)},
			want: "3; need backlog 0->5; ceiling lunch 5->3", until: 3600,
		},
		{
			name: "a ceiling is stronger than a floor",
			spec: policy.Spec{Signals: []policy.Signal{backlog()}, Schedules: []schedule.Spec{office(8), lunch}},
			in:   policy.Input{Signals: signals("backlog", 90)},
			want: "3; need backlog 0->5; floor office 5->8; ceiling lunch 8->3", until: 3600,
		},
		{
			name: "a window of a higher priority is stronger than both",
			spec: policy.Spec{Signals: []policy.Signal{backlog()}, Schedules: []schedule.Spec{office(8), lunch, exact}},
			in:   policy.Input{Signals: signals("backlog", 90)},
			want: "40; need backlog 0->5; floor sale 5->40", until: 60,
		},
		{
			name: "minReplicas is stronger than a ceiling",
			spec: policy.Spec{Signals: []policy.Signal{backlog()}, Schedules: []schedule.Spec{lunch}, MinReplicas: 4},
			in:   policy.Input{Signals: signals("backlog", 90)},
			want: "4; need backlog 0->5; ceiling lunch 5->3; minReplicas 3->4", until: 3600,
		},
		{
			name: "maxReplicas is exact",
			spec: policy.Spec{
				Signals: []policy.Signal{backlog()}, MaxReplicas: 4,
				Down: &policy.StepDown{Pods: 1, Period: time.Hour}, Busy: &policy.BusyPods{Keep: policy.Strict},
			},
			in:   policy.Input{Signals: signals("backlog", 90), Target: policy.Target{Replicas: 9, LastScale: at(-1)}},
			want: "4; need backlog 0->5; maxReplicas 5->4; period 4->9; maxReplicas 9->4", until: 3599,
		},
		{
			name: "paused replicas stay",
			spec: policy.Spec{Signals: []policy.Signal{backlog()}},
			in:   policy.Input{Signals: signals("backlog", 90), Target: policy.Target{Replicas: 2, Paused: true}},
			want: "2; paused 0->2",
		},
	} {
		t.Run(e.name, func(t *testing.T) { t.Parallel(); e.run(t) })
	}
}

func TestHold(t *testing.T) {
	t.Parallel()
	spec := policy.Spec{Signals: []policy.Signal{backlog()}, Down: &policy.StepDown{Hold: 5 * time.Minute}}
	held := func(pairs ...int) policy.State {
		s := policy.State{At: at(-15), Replicas: 9}
		for i := 0; i < len(pairs); i += 2 {
			s.Held = append(s.Held, policy.Wanted{At: at(pairs[i]), Replicas: int32(pairs[i+1])})
		}
		return s
	}
	for _, e := range []example{
		{
			name: "the largest number of five minutes counts",
			spec: spec, in: policy.Input{Signals: signals("backlog", 90), Target: steady(9), State: held(-100, 9, -15, 7)},
			want: "9; need backlog 0->5; hold 5->9", until: 200,
		},
		{
			name: "after them the next largest one",
			spec: spec, in: policy.Input{Signals: signals("backlog", 90), Target: steady(9), State: held(-300, 9, -15, 7)},
			want: "7; need backlog 0->5; hold 5->7", until: 285,
		},
		{
			name: "growth is not held",
			spec: spec, in: policy.Input{Signals: signals("backlog", 900), Target: steady(9), State: held(-100, 9)},
			want: "45; need backlog 0->45",
		},
		{
			name: "right after a start replicas do not fall",
			spec: spec, in: policy.Input{Signals: signals("backlog", 90), Target: steady(9)},
			want: "9; need backlog 0->5; hold 5->9", until: 300,
		},
		{
			name: "nor after an outage that was longer than the hold",
			spec: spec, in: policy.Input{Signals: signals("backlog", 90), Target: steady(9), State: policy.State{At: at(-301), Replicas: 9}},
			want: "9; need backlog 0->5; hold 5->9", until: 300,
		},
		{
			name: "the floor of a window is not held",
			spec: policy.Spec{Signals: spec.Signals, Down: spec.Down, Schedules: []schedule.Spec{office(8)}},
			in:   policy.Input{Signals: signals("backlog", 0), Target: steady(9), State: held(-15, 2)},
			want: "8; hold 0->2; floor office 2->8", until: 285,
		},
	} {
		t.Run(e.name, func(t *testing.T) { t.Parallel(); e.run(t) })
	}
}
