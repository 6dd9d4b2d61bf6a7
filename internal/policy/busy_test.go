package policy_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/backlog-scaler/backlog-scaler/internal/policy"
)

// idle and busy are ready pods with deletion costs.
func idle(costs ...int32) []policy.Pod { return pods(false, costs) }

func busy(costs ...int32) []policy.Pod { return pods(true, costs) }

func pods(busy bool, costs []int32) []policy.Pod {
	var all []policy.Pod
	for _, cost := range costs {
		all = append(all, policy.Pod{Busy: busy, Scheduled: true, Running: true, Ready: true, DeletionCost: cost})
	}
	return all
}

func known(groups ...[]policy.Pod) policy.Pods {
	return policy.Pods{Known: true, All: slices.Concat(groups...)}
}

func TestSpare(t *testing.T) {
	t.Parallel()
	starting := policy.Pod{Scheduled: true, Running: true}
	pending := policy.Pod{Scheduled: true}
	unscheduled := policy.Pod{}
	failing := policy.Pod{Busy: true, Scheduled: true, Running: true}
	for _, tc := range []struct {
		name string
		pods policy.Pods
		want int
	}{
		{"no pods", policy.Pods{Known: true}, 0},
		{"all are idle", known(idle(0, 0, 0)), 3},
		{"without costs any pod may be deleted", known(idle(0, 0, 0), busy(0)), 0},
		{"costs spare the busy one", known(idle(0, 0, 0), busy(1)), 3},
		{"costs of another hand", known(idle(0, 5, 0), busy(1)), 2},
		{"pods that start are deleted first", known([]policy.Pod{starting, pending, unscheduled}, idle(0), busy(0)), 3},
		{"a busy pod that is not ready goes before idle ones", known([]policy.Pod{failing}, idle(0, 0)), 0},
		{"a StatefulSet deletes from the end", policy.Pods{Known: true, Ordered: true, All: []policy.Pod{
			{Ordinal: 0, Busy: true}, {Ordinal: 1}, {Ordinal: 2, Busy: true}, {Ordinal: 3}, {Ordinal: 4},
		}}, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if got := tc.pods.Spare(); got != tc.want {
				t.Errorf("%d pods to spare, want %d", got, tc.want)
			}
		})
	}
	if got := known(idle(0, 0), busy(1)).Busy(); got != 1 {
		t.Errorf("%d busy pods, want 1", got)
	}
}

func TestBusyPods(t *testing.T) {
	t.Parallel()
	strict := policy.Spec{Signals: []policy.Signal{backlog()}, Busy: &policy.BusyPods{Keep: policy.Strict, GiveUpAfter: 10 * time.Minute}}
	endless := policy.Spec{Signals: []policy.Signal{backlog()}, Busy: &policy.BusyPods{Keep: policy.Strict}}
	prefer := policy.Spec{Signals: []policy.Signal{backlog()}, Busy: &policy.BusyPods{GiveUpAfter: 10 * time.Minute}}
	since := func(seconds int) policy.State {
		return policy.State{At: at(-1), Replicas: 4, Sparing: at(-seconds)}
	}
	workload := func(pods policy.Pods) policy.Target { return policy.Target{Replicas: 4, Available: 4, Pods: pods} }
	marked, unmarked := known(idle(0, 0), busy(1, 1)), known(idle(0, 0), busy(0, 0))
	for _, e := range []example{
		{
			name: "replicas fall by idle pods alone", spec: strict,
			in:   policy.Input{Signals: signals("backlog", 0), Target: workload(marked)},
			want: "2; busy 0->2", until: 600,
		},
		{
			name: "not at all before the pods show their costs", spec: strict,
			in:   policy.Input{Signals: signals("backlog", 0), Target: workload(unmarked)},
			want: "4; busy 0->4", until: 600,
		},
		{
			name: "nor while the pods are unknown", spec: strict,
			in:   policy.Input{Signals: signals("backlog", 0), Target: workload(policy.Pods{})},
			want: "4; busy 0->4", until: 600,
		},
		{
			name: "for a time", spec: strict,
			in:   policy.Input{Signals: signals("backlog", 0), Target: workload(marked), State: since(600)},
			want: "0; busyGivenUp",
		},
		{
			name: "which begins again after each change", spec: strict,
			in:   policy.Input{Signals: signals("backlog", 0), Target: policy.Target{Replicas: 4, Pods: marked, LastScale: at(-100)}, State: since(600)},
			want: "2; busy 0->2", until: 500,
		},
		{
			name: "or without end", spec: endless,
			in:   policy.Input{Signals: signals("backlog", 0), Target: workload(marked), State: since(60000)},
			want: "2; busy 0->2",
		},
		{
			name: "a fall that takes idle pods alone is not delayed", spec: strict,
			in:   policy.Input{Signals: signals("backlog", 60), Target: workload(marked)},
			want: "3; need backlog 0->3",
		},
		{
			name: "costs are waited for a moment, if idle pods are only preferred", spec: prefer,
			in:   policy.Input{Signals: signals("backlog", 0), Target: workload(unmarked)},
			want: "4; busy 0->4", until: 5,
		},
		{
			name: "then the workload stays active while a pod is busy, because KEDA would delete all", spec: prefer,
			in:   policy.Input{Signals: signals("backlog", 0), Target: workload(marked), State: since(5)},
			want: "0 active true; busyGivenUp", until: 595,
		},
		{
			name: "and not for ever", spec: prefer,
			in:   policy.Input{Signals: signals("backlog", 0), Target: workload(marked), State: since(600)},
			want: "0; busyGivenUp",
		},
	} {
		t.Run(e.name, func(t *testing.T) { t.Parallel(); e.run(t) })
	}
	for _, tc := range []struct {
		backlog float64
		want    bool
	}{{0, true}, {80, false}, {800, false}} {
		d, err := compiled(t, policy.Spec{MaxReplicas: 100, Signals: strict.Signals, Busy: strict.Busy}).
			Decide(policy.Input{Signals: signals("backlog", tc.backlog), Target: workload(unmarked)}, start)
		if err != nil || d.Falling != tc.want {
			t.Errorf("with a backlog of %v the replicas fall: %t, %v, want %t", tc.backlog, d.Falling, err, tc.want)
		}
	}
}

// somePods are pods in every state.
func somePods() *rapid.Generator[policy.Pods] {
	return rapid.Custom(func(t *rapid.T) policy.Pods {
		p := policy.Pods{Known: rapid.IntRange(0, 9).Draw(t, "known") > 0, Ordered: rapid.Bool().Draw(t, "ordered")}
		for i := range rapid.IntRange(0, 12).Draw(t, "pods") {
			p.All = append(p.All, policy.Pod{
				Busy: rapid.Bool().Draw(t, "busy"), Scheduled: rapid.IntRange(0, 5).Draw(t, "scheduled") > 0,
				Running: rapid.IntRange(0, 5).Draw(t, "running") > 0, Ready: rapid.IntRange(0, 5).Draw(t, "ready") > 0,
				DeletionCost: rapid.Int32Range(0, 2).Draw(t, "cost"), Ordinal: int32(i),
			})
		}
		return p
	})
}

// survivors are the pods that a ReplicaSet or StatefulSet leaves of n, where ties fall anyhow.
func survivors(p policy.Pods, n int, seed uint64) []policy.Pod {
	all := slices.Clone(p.All)
	rand.New(rand.NewPCG(seed, seed)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	rank := func(pod policy.Pod) int {
		if p.Ordered {
			return -int(pod.Ordinal)
		}
		rank := int(pod.DeletionCost)
		for i, set := range []bool{pod.Ready, pod.Running, pod.Scheduled} {
			if set {
				rank += 10 << i
			}
		}
		return rank
	}
	slices.SortStableFunc(all, func(a, b policy.Pod) int { return rank(a) - rank(b) })
	return all[max(len(all)-n, 0):]
}

// TestStrictSparesBusyPods is property 10: no busy pod is among those that are deleted.
func TestStrictSparesBusyPods(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		all := somePods().Draw(t, "pods")
		all.Known = true
		spec := policy.Spec{
			MaxReplicas: 100, Signals: []policy.Signal{backlog()},
			Busy: &policy.BusyPods{Keep: policy.Strict, GiveUpAfter: rapid.SampledFrom([]time.Duration{0, time.Minute}).Draw(t, "give up")},
		}
		if rapid.Bool().Draw(t, "in steps") {
			spec.Down = &policy.StepDown{Pods: rapid.Int32Range(1, 5).Draw(t, "step")}
		}
		p, err := policy.New(spec)
		if err != nil {
			t.Fatal(err)
		}
		current := int32(len(all.All))
		d, err := p.Decide(policy.Input{
			Signals: signals("backlog", rapid.Float64Range(0, 300).Draw(t, "backlog")), Target: policy.Target{Replicas: current, Pods: all},
		}, start)
		if err != nil {
			t.Fatal(err)
		}
		if d.Replicas >= current {
			return
		}
		left := survivors(all, int(d.Replicas), rapid.Uint64().Draw(t, "ties"))
		busyLeft := policy.Pods{All: left}.Busy()
		if busyLeft != all.Busy() {
			t.Fatalf("%d of %d busy pods are left of %+v at %s", busyLeft, all.Busy(), all, text(d))
		}
	})
}
