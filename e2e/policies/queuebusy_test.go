package policies_test

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/backlog-scaler/backlog-scaler/api/v1alpha1"
	"github.com/backlog-scaler/backlog-scaler/internal/policies"
)

const (
	deletionCost = "controller.kubernetes.io/pod-deletion-cost"
	// elsewhere is a worker that is no pod of the namespace.
	elsewhere = "laptop"
)

// busyByQueue makes a policy that spares the pods that the queue shows as busy.
func (w *world) busyByQueue(t *testing.T, name string) {
	t.Helper()
	w.policy(t, name, func(s *v1alpha1.AutoscalerPolicySpec) {
		s.BusyPods = &v1alpha1.BusyPods{From: v1alpha1.BusyFromQueue, Signal: "backlog", Keep: v1alpha1.Strict}
	})
}

// costs returns the deletion costs of the pods of a Deployment, by their names; pods without one are left out.
func (w *world) costs(t *testing.T, app string) map[string]string {
	t.Helper()
	costs := make(map[string]string)
	for _, pod := range w.pods(t, app) {
		if cost, set := pod.Annotations[deletionCost]; set {
			costs[pod.Name] = cost
		}
	}
	return costs
}

// TestBusyByQueue: the queue shows which pods are busy, by their hostnames. These are marked, and the ReplicaSet deletes the
// others. A strict policy takes no more than those.
func TestBusyByQueue(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deployment(t, "billing", 6)
	pods := w.runningPods(t, "billing", 6)
	busy := []string{pods[1].Name, pods[2].Name}
	w.busyByQueue(t, "billing")
	w.runner.fall(w.key("billing"), 0)
	w.reconcile(t, "billing", "all pods may be busy", func() bool {
		target, known := w.runner.target(w.key("billing"))
		return known && !target.Pods.Known && len(target.Pods.All) == 6 && target.Pods.Busy() == 6
	})
	if p := w.runner.known()[w.key("billing")]; p.Workers == nil || *p.Workers != (policies.Workers{Signal: "backlog"}) || len(p.Problems) > 0 {
		t.Errorf("the policy is %+v", p)
	}
	w.settle(t, "billing")
	if n, costs := w.replicas(t, "billing"), w.costs(t, "billing"); n != 6 || len(costs) > 0 {
		t.Errorf("%d replicas with the costs %v while nothing is known, want 6 without any", n, costs)
	}
	// One idle worker is listed; the others may not have had any job yet.
	w.runner.busyWorkers(w.key("billing"), map[string]bool{busy[0]: true, busy[1]: true, pods[0].Name: false})
	w.reconcile(t, "billing", "two replicas", func() bool { return w.replicas(t, "billing") == 2 })
	var left []string
	eventually(t, "two pods", func() bool {
		left = nil
		for _, pod := range w.pods(t, "billing") {
			if pod.DeletionTimestamp == nil {
				left = append(left, pod.Name)
			}
		}
		return len(left) == 2
	})
	slices.Sort(left)
	slices.Sort(busy)
	if !slices.Equal(left, busy) {
		t.Errorf("pods %v are left, want the busy ones %v", left, busy)
	}
	for _, name := range busy {
		if cost := w.costs(t, "billing")[name]; cost != "1" {
			t.Errorf("the busy pod %s has the cost %q, want 1", name, cost)
		}
	}
}

// TestForeignWorker: while a busy worker is no pod of the namespace, workers may have other names than their pods. Then only those
// are idle that the queue lists. A pod of another Deployment is not foreign.
func TestForeignWorker(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deployment(t, "billing", 3)
	w.deployment(t, "shipping", 1)
	pods, other := w.runningPods(t, "billing", 3), w.runningPods(t, "shipping", 1)[0]
	w.busyByQueue(t, "billing")
	wantBusy := func(what string, workers map[string]bool, want int) {
		t.Helper()
		w.runner.busyWorkers(w.key("billing"), workers)
		w.reconcile(t, "billing", what, func() bool {
			target, known := w.runner.target(w.key("billing"))
			return known && target.Pods.Known && len(target.Pods.All) == 3 && target.Pods.Busy() == want
		})
	}
	// The number stays, so that the pods do.
	w.runner.want(w.key("billing"), 3)
	wantBusy("one is busy", map[string]bool{pods[0].Name: true}, 1)
	wantBusy("one of another Deployment is busy, too", map[string]bool{pods[0].Name: true, other.Name: true}, 1)
	wantBusy("one elsewhere is busy", map[string]bool{pods[0].Name: true, elsewhere: true}, 3)
	wantBusy("one is known to be idle next to it", map[string]bool{pods[0].Name: false, elsewhere: true}, 2)
	wantBusy("one elsewhere is idle", map[string]bool{elsewhere: false}, 0)
}

// TestBusyByHostname: a pod that sets its hostname is known by that, and one in the network of its node is always busy.
func TestBusyByHostname(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for app, change := range map[string]func(*corev1.PodSpec){
		"named":  func(s *corev1.PodSpec) { s.Hostname = "worker" },
		"onnode": func(s *corev1.PodSpec) { s.HostNetwork = true },
	} {
		w.deploymentOf(t, app, 1, change)
		pod := w.runningPods(t, app, 1)[0]
		w.busyByQueue(t, app)
		w.runner.want(w.key(app), 1)
		for _, workers := range []map[string]bool{{"worker": true, pod.Name: false}, {"worker": false, pod.Name: false}} {
			w.runner.busyWorkers(w.key(app), workers)
			want := 0
			if workers["worker"] || app == "onnode" {
				want = 1
			}
			w.reconcile(t, app, app, func() bool {
				target, known := w.runner.target(w.key(app))
				return known && target.Pods.Known && len(target.Pods.All) == 1 && target.Pods.Busy() == want
			})
		}
	}
}
