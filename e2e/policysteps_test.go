package e2e_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/backlog-scaler/backlog-scaler/api/v1alpha1"
	"github.com/backlog-scaler/backlog-scaler/e2e/scaler"
	"github.com/backlog-scaler/backlog-scaler/e2e/workload"
)

// stepPeriod is the shortest period of a step with KEDA.
const stepPeriod = 15 * time.Second

// window is one that opens at a time, in whole seconds, and stays open longer than the test.
func window(name string, opens time.Time) v1alpha1.Schedule {
	opens = opens.Truncate(time.Second)
	return v1alpha1.Schedule{Name: name, From: new(metav1.NewTime(opens)), Until: new(metav1.NewTime(opens.Add(24 * time.Hour)))}
}

// night: a ceiling of zero takes all replicas, though there is work, and no more than two in one step. Without the steps the
// HPA would take all but one at its next sync, and KEDA all of them.
func (s *policySuite) night(t *testing.T) {
	const namespace, name = "e2e-night", "night"
	s.nodes(t, namespace)
	s.policy(t, namespace, name, func(p *v1alpha1.AutoscalerPolicySpec) {
		p.Steps = &v1alpha1.Steps{Down: &v1alpha1.StepDown{Pods: new(int32(2)), Period: "15s", Hold: "0s"}}
	})
	w := s.scaledBy(t, s.scaler.Address(), namespace, name)
	check(t, s.redis.Push(s.ctx, name, 30))
	s.reach(t, w, time.Now(), 2*time.Minute, 6)
	begins := time.Now()
	s.changePolicy(t, namespace, name, func(p *v1alpha1.AutoscalerPolicySpec) {
		night := window("night", begins.Add(2*time.Second))
		night.Ceiling = new(int32(0))
		p.Schedules = []v1alpha1.Schedule{night}
	})
	s.took(t, "night", "6 to 0 in steps", s.reach(t, w, begins, 4*time.Minute, 0))
	changes := replicasOf(w.Since(begins))
	for i, n := range changes[1:] {
		if step := changes[i] - n; step < 1 || step > 2 {
			t.Errorf("replicas %v: a change of %d, want steps of 1 or 2 downward", changes, step)
		}
	}
	// KEDA ends the last replica, and nothing that the HPA has yet to end: the HPA would overwrite that.
	if before := changes[len(changes)-2]; before != 1 {
		t.Errorf("replicas %v: the last of %d are ended at once, want the HPA to leave 1", changes, before)
	}
	if events := s.events(t, namespace, name); events["WindowOpened"] != 1 || events["Stepped"] == 0 {
		t.Errorf("events %v, want WindowOpened once and steps", events)
	}
	// KEDA does not wake it: there is work, and the night goes on.
	asleep := time.Now()
	s.hold(t, w, asleep, 5*time.Second, 0)
	if woken := w.Since(asleep); len(woken) > 1 {
		t.Errorf("it is woken at night: %v", woken)
	}
}

// leaderKilled kills the leader between two of its steps: the other replica goes on when the Lease has run out. No step is
// made twice, none is skipped, and none comes before the period of the last one has passed.
func (s *policySuite) leaderKilled(t *testing.T) {
	const name, lease = "steps", "e2e-leader-killed/scaler"
	namespace := s.namespace(t, "leader-killed")
	s.nodes(t, namespace)
	// With the administrator's access: the role of the chart allows one Lease.
	connections := map[string]scaler.Connection{"main": s.connection(s.redis, "*")}
	first := s.startPolicyScaler(t, "scaler-leader-1", s.stage.Cluster.Kubeconfig(), lease, connections, namespace)
	w, err := workload.Deploy(s.ctx, s.stage.Clients, workload.Options{Namespace: namespace, Name: name})
	check(t, err)
	began := time.Now()
	s.policy(t, namespace, name, func(p *v1alpha1.AutoscalerPolicySpec) {
		open := window("open", began.Add(-time.Minute))
		open.Exact = new(int32(8))
		p.Via, p.Signals, p.Schedules = v1alpha1.ViaScale, nil, []v1alpha1.Schedule{open}
		p.Steps = &v1alpha1.Steps{Up: &v1alpha1.StepUp{First: new(int32(2)), Pods: new(int32(2)), Period: "15s", ReadyPercent: 100}}
	})
	s.reach(t, w, began, time.Minute, 2)
	s.startPolicyScaler(t, "scaler-leader-2", s.stage.Cluster.Kubeconfig(), lease, connections, namespace)
	s.reach(t, w, began, time.Minute, 4)
	first.Process().Kill()
	killed := time.Now()
	s.took(t, "leader killed", "to the next step", s.reach(t, w, killed, 2*time.Minute, 6))
	s.reach(t, w, killed, 2*time.Minute, 8)
	s.pause(t, stepPeriod) // a step too many would come now
	changes := w.Since(began)
	if diff := cmp.Diff([]int32{0, 2, 4, 6, 8}, replicasOf(changes)); diff != "" {
		t.Errorf("replicas (-want +got):\n%s", diff)
	}
	for i := 2; i < len(changes); i++ {
		// The status has whole seconds, and the watch has its own delay.
		if apart := changes[i].At.Sub(changes[i-1].At); apart < stepPeriod-2*time.Second {
			t.Errorf("a step %s after the one before, want %s: %v", apart, stepPeriod, changes)
		}
	}
}

// notReady: a pod that never becomes ready keeps the step after it from being made, and the status says so after a time.
// Nothing is taken back. When the pod is ready, the steps go on.
func (s *policySuite) notReady(t *testing.T) {
	const namespace, name = "e2e-not-ready", "not-ready"
	nodes := s.nodes(t, namespace)
	nodes.Allow(1)
	s.policy(t, namespace, name, func(p *v1alpha1.AutoscalerPolicySpec) {
		p.Steps = &v1alpha1.Steps{Up: &v1alpha1.StepUp{First: new(int32(2)), Pods: new(int32(2)), Period: "15s", ReadyPercent: 100, StuckAfter: "20s"}}
	})
	w := s.scaledBy(t, s.scaler.Address(), namespace, name)
	began := time.Now()
	check(t, s.redis.Push(s.ctx, name, 30))
	s.reach(t, w, began, time.Minute, 2)
	s.condition(t, namespace, name, v1alpha1.ConditionLimited, "True/"+v1alpha1.ReasonStepStuck)
	s.hold(t, w, began, hpaSync, 0)
	if changes := replicasOf(w.Since(began)); slices.Max(changes) > 2 || changes[len(changes)-1] != 2 {
		t.Errorf("replicas %v while a pod is not ready, want 2 in the end and never more", changes)
	}
	nodes.Allow(100)
	released := time.Now()
	s.reach(t, w, released, 2*time.Minute, 6)
	s.condition(t, namespace, name, v1alpha1.ConditionLimited, "False/"+v1alpha1.ReasonNotLimited)
	if changes := replicasOf(w.Since(released)); !slices.IsSorted(changes) || !slices.Contains(changes, 4) {
		t.Errorf("replicas %v, want a step at 4", changes)
	}
}
