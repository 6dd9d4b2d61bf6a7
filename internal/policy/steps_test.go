package policy_test

import (
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/policy"
)

func TestSteps(t *testing.T) {
	t.Parallel()
	spec := policy.Spec{
		Signals: []policy.Signal{backlog()},
		Up:      &policy.StepUp{First: 1, Pods: 4, Percent: 50, Period: 30 * time.Second, ReadyPercent: 90, StuckAfter: 10 * time.Minute},
		Down:    &policy.StepDown{Pods: 2, Percent: 10, Period: time.Minute},
	}
	changed := func(n, available int32, ago int) policy.Target {
		return policy.Target{Replicas: n, Available: available, LastScale: at(-ago)}
	}
	minimum := spec
	minimum.MinReplicas = 3
	seenBefore := policy.State{At: at(-15), Replicas: 4}
	for _, e := range []example{
		{
			name: "the first step has its own size", spec: spec,
			in:   policy.Input{Signals: signals("backlog", 2000)},
			want: "1; need backlog 0->100; stepUp 100->1",
		},
		{
			name: "and does not wait", spec: spec,
			in:   policy.Input{Signals: signals("backlog", 2000), Target: changed(0, 0, 1)},
			want: "1; need backlog 0->100; stepUp 100->1",
		},
		{
			name: "KEDA begins a step with one replica, and the step goes on", spec: spec,
			in: policy.Input{
				Signals: signals("backlog", 2000), Target: changed(1, 0, 1),
				State: policy.State{At: at(-1), Replicas: 1, Step: policy.LastStep{To: 3, At: at(-2)}},
			},
			want: "3; need backlog 0->100; stepUp 100->3",
		},
		{
			name: "also after its period, when the HPA is late", spec: spec,
			in: policy.Input{
				Signals: signals("backlog", 2000), Target: changed(1, 1, 31),
				State: policy.State{At: at(-1), Replicas: 1, Step: policy.LastStep{To: 3, At: at(-32)}},
			},
			want: "3; need backlog 0->100; stepUp 100->3",
		},
		{
			name: "a step that has ended does not", spec: spec,
			in: policy.Input{
				Signals: signals("backlog", 2000), Target: changed(3, 0, 1),
				State: policy.State{At: at(-1), Replicas: 3, Step: policy.LastStep{To: 3, At: at(-2)}},
			},
			want: "3; need backlog 0->100; period 100->3", until: 29,
		},
		{
			name: "four pods are more than half of 4", spec: spec,
			in:   policy.Input{Signals: signals("backlog", 2000), Target: steady(4)},
			want: "8; need backlog 0->100; stepUp 100->8",
		},
		{
			name: "half of 21 is more than four pods", spec: spec,
			in:   policy.Input{Signals: signals("backlog", 2000), Target: steady(21)},
			want: "32; need backlog 0->100; stepUp 100->32",
		},
		{
			name: "a step within its size is whole", spec: spec,
			in:   policy.Input{Signals: signals("backlog", 120), Target: steady(4)},
			want: "6; need backlog 0->6",
		},
		{
			name: "growth waits for the period", spec: spec,
			in:   policy.Input{Signals: signals("backlog", 2000), Target: changed(4, 4, 10)},
			want: "4; need backlog 0->100; period 100->4", until: 20,
		},
		{
			name: "from a change that the scaler saw", spec: spec,
			in:   policy.Input{Signals: signals("backlog", 2000), Target: steady(5), State: seenBefore},
			want: "5; need backlog 0->100; period 100->5", until: 30,
		},
		{
			name: "growth waits for available replicas", spec: spec,
			in:   policy.Input{Signals: signals("backlog", 2000), Target: changed(10, 8, 60)},
			want: "10; need backlog 0->100; notReady 100->10", until: 540,
		},
		{
			name: "nine of ten are enough", spec: spec,
			in:   policy.Input{Signals: signals("backlog", 2000), Target: changed(10, 9, 60)},
			want: "15; need backlog 0->100; stepUp 100->15",
		},
		{
			name: "a step that is stuck is held, and said", spec: spec,
			in:   policy.Input{Signals: signals("backlog", 2000), Target: changed(10, 8, 600)},
			want: "10; need backlog 0->100; notReady 100->10; stuck",
		},
		{
			name: "without a known change a wait begins now", spec: spec,
			in:   policy.Input{Signals: signals("backlog", 2000), Target: policy.Target{Replicas: 10}},
			want: "10; need backlog 0->100; notReady 100->10", until: 600,
		},
		{
			name: "without an end a wait is never stuck",
			spec: policy.Spec{Signals: spec.Signals, Up: &policy.StepUp{Pods: 1, ReadyPercent: 1}},
			in:   policy.Input{Signals: signals("backlog", 2000), Target: changed(10, 0, 6000)},
			want: "10; need backlog 0->100; notReady 100->10",
		},
		{
			name: "no step keeps replicas below minReplicas", spec: minimum,
			in:   policy.Input{Signals: signals("backlog", 2000)},
			want: "3; need backlog 0->100; stepUp 100->3",
		},
		{
			name: "nor does a wait", spec: minimum,
			in:   policy.Input{Signals: signals("backlog", 2000), Target: changed(1, 0, 60)},
			want: "3; need backlog 0->100; notReady 100->3", until: 540,
		},
		{
			name: "replicas fall by two pods", spec: spec,
			in:   policy.Input{Signals: signals("backlog", 0), Target: steady(10)},
			want: "8; stepDown 0->8",
		},
		{
			name: "or by a tenth, rounded down", spec: spec,
			in:   policy.Input{Signals: signals("backlog", 0), Target: steady(39)},
			want: "36; stepDown 0->36",
		},
		{
			name: "a fall waits for the period", spec: spec,
			in:   policy.Input{Signals: signals("backlog", 0), Target: changed(10, 10, 10)},
			want: "10; period 0->10", until: 50,
		},
		{
			name: "the HPA keeps one replica of a step to zero, and the step goes on", spec: spec,
			in: policy.Input{
				Signals: signals("backlog", 0), Target: changed(1, 1, 1),
				State: policy.State{At: at(-1), Replicas: 2, Fall: policy.LastStep{From: 2, At: at(-2)}},
			},
			want: "0",
		},
		{
			name: "a fall that takes several changes goes on", spec: spec,
			in: policy.Input{
				Signals: signals("backlog", 0), Target: changed(9, 9, 1),
				State: policy.State{At: at(-1), Replicas: 9, Fall: policy.LastStep{From: 10, To: 8, At: at(-2)}},
			},
			want: "8; stepDown 0->8",
		},
		{
			name: "a step that was reported is not taken back when the last change turns out to be later", spec: spec,
			in: policy.Input{
				Signals: signals("backlog", 0), Target: changed(2, 2, 1),
				State: policy.State{At: at(-1), Replicas: 0, Fall: policy.LastStep{From: 2, At: at(-2)}},
			},
			want: "0 active true", until: 28,
		},
		{
			name: "and ends, and the next one waits for the period", spec: spec,
			in: policy.Input{
				Signals: signals("backlog", 0), Target: changed(8, 8, 1),
				State: policy.State{At: at(-1), Replicas: 8, Fall: policy.LastStep{From: 10, To: 8, At: at(-2)}},
			},
			want: "8; period 0->8", until: 59,
		},
		{
			name: "a fall that goes on stops at what is wanted", spec: spec,
			in: policy.Input{
				Signals: signals("backlog", 180), Target: changed(10, 10, 1),
				State: policy.State{At: at(-1), Replicas: 10, Fall: policy.LastStep{From: 11, To: 8, At: at(-2)}},
			},
			want: "9; need backlog 0->9",
		},
		{
			name: "the last step is one to zero, in which the HPA comes first", spec: spec,
			in:   policy.Input{Signals: signals("backlog", 0), Target: steady(2)},
			want: "0 active true", until: 30,
		},
		{
			name: "the workload is inactive if the HPA does not act", spec: spec,
			in: policy.Input{
				Signals: signals("backlog", 0), Target: steady(2),
				State: policy.State{At: at(-1), Replicas: 2, Fall: policy.LastStep{From: 2, At: at(-30)}},
			},
			want: "0",
		},
		{
			name: "or has nothing to do", spec: spec,
			in:   policy.Input{Signals: signals("backlog", 0), Target: steady(1)},
			want: "0",
		},
		{
			name: "one pod of three at a time, whatever the percentage",
			spec: policy.Spec{Signals: spec.Signals, Down: &policy.StepDown{Percent: 10}},
			in:   policy.Input{Signals: signals("backlog", 0), Target: steady(3)},
			want: "2; stepDown 0->2",
		},
		{
			name: "without a size replicas fall at once",
			spec: policy.Spec{Signals: spec.Signals, Down: &policy.StepDown{Period: time.Minute}},
			in:   policy.Input{Signals: signals("backlog", 20), Target: steady(30)},
			want: "1; need backlog 0->1",
		},
	} {
		t.Run(e.name, func(t *testing.T) { t.Parallel(); e.run(t) })
	}
}

func TestLimiters(t *testing.T) {
	t.Parallel()
	all := []policy.Signal{backlog(), {Name: "load", MaxStaleness: time.Minute, WhenUnknown: policy.Ignore}, {Name: "errors", MaxStaleness: time.Minute}}
	database := policy.Limiter{Name: "database", When: "load > 0.9", Until: "load < 0.7", Action: policy.Lower, Ceiling: "current * 0.8"}
	failing := policy.Limiter{Name: "failing", When: "errors > 500"}
	lower := policy.Spec{Signals: all, Limiters: []policy.Limiter{database}}
	freeze := policy.Spec{Signals: all, Limiters: []policy.Limiter{failing}}
	both := policy.Spec{Signals: all, Limiters: []policy.Limiter{failing, database}, MinReplicas: 2}
	active := func(name string, ceiling int32) policy.State {
		return policy.State{At: at(-15), Replicas: 10, Limiters: map[string]policy.ActiveLimiter{name: {Since: at(-100), Ceiling: ceiling}}}
	}
	for _, e := range []example{
		{
			name: "a limiter begins, and computes its ceiling: four fifths of 11, rounded down", spec: lower,
			in:   policy.Input{Signals: signals("backlog", 2000, "load", 0.95), Target: steady(11)},
			want: "8; need backlog 0->100; limiter database 100->8",
		},
		{
			name: "it stays between its two conditions, with the ceiling that it began with", spec: lower,
			in:   policy.Input{Signals: signals("backlog", 2000, "load", 0.8), Target: steady(10), State: active("database", 8)},
			want: "8; need backlog 0->100; limiter database 100->8",
		},
		{
			name: "it does not begin between them", spec: lower,
			in:   policy.Input{Signals: signals("backlog", 2000, "load", 0.8), Target: steady(10)},
			want: "100; need backlog 0->100",
		},
		{
			name: "it ends", spec: lower,
			in:   policy.Input{Signals: signals("backlog", 2000, "load", 0.6), Target: steady(10), State: active("database", 8)},
			want: "100; need backlog 0->100",
		},
		{
			name: "it stays as it is while its signal is left out", spec: lower,
			in:   policy.Input{Signals: signals("backlog", 2000), Target: steady(10), State: active("database", 8)},
			want: "8; ignored load; need backlog 0->100; limiterUnknown database; limiter database 100->8",
		},
		{
			name: "or while its condition has no result",
			spec: policy.Spec{Signals: all, Limiters: []policy.Limiter{{Name: "ratio", When: "load / errors > 1"}}},
			in:   policy.Input{Signals: signals("backlog", 2000, "load", 1, "errors", 0), Target: steady(10)},
			want: "100; need backlog 0->100; limiterUnknown ratio",
		},
		{
			name: "or while its end has none",
			spec: policy.Spec{Signals: all, Limiters: []policy.Limiter{{Name: "ratio", When: "load > 2", Until: "load / errors > 1"}}},
			in:   policy.Input{Signals: signals("backlog", 2000, "load", 1, "errors", 0), Target: steady(10), State: active("ratio", 0)},
			want: "10; need backlog 0->100; limiterUnknown ratio; limiter ratio 100->10",
		},
		{
			name: "or its ceiling",
			spec: policy.Spec{Signals: all, Limiters: []policy.Limiter{{Name: "ratio", When: "load > 0.5", Action: policy.Lower, Ceiling: "load / errors"}}},
			in:   policy.Input{Signals: signals("backlog", 2000, "load", 1, "errors", 0), Target: steady(10)},
			want: "100; need backlog 0->100; limiterUnknown ratio",
		},
		{
			name: "a freeze keeps replicas from rising", spec: freeze,
			in:   policy.Input{Signals: signals("backlog", 2000, "errors", 501), Target: steady(10)},
			want: "10; need backlog 0->100; limiter failing 100->10",
		},
		{
			name: "they may fall", spec: freeze,
			in:   policy.Input{Signals: signals("backlog", 20, "errors", 501), Target: steady(10)},
			want: "1; need backlog 0->1",
		},
		{
			name: "a freeze ends with its condition", spec: freeze,
			in:   policy.Input{Signals: signals("backlog", 2000, "errors", 500), Target: steady(10), State: active("failing", 0)},
			want: "100; need backlog 0->100",
		},
		{
			name: "the strongest limiter counts, and none goes below minReplicas", spec: both,
			in:   policy.Input{Signals: signals("backlog", 2000, "load", 1, "errors", 501), Target: steady(1)},
			want: "2; need backlog 0->100; limiter database 100->2",
		},
		{
			name: "a limiter of a signal that holds is an error", spec: freeze,
			in:  policy.Input{Signals: signals("backlog", 2000), Target: steady(10)},
			err: policy.ErrUnknown, want: "errors: not read yet",
		},
	} {
		t.Run(e.name, func(t *testing.T) { t.Parallel(); e.run(t) })
	}
}
