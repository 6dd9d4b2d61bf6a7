package policies_test

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/backlog-scaler/backlog-scaler/api/v1alpha1"
)

// TestViaScale: the leader writes what is decided, up and down, and names itself.
func TestViaScale(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deployment(t, "billing", 1)
	w.policy(t, "billing", asItIs)
	for _, replicas := range []int32{8, 3, 0, 1} {
		w.runner.want(w.key("billing"), replicas)
		w.reconcile(t, "billing", "the decided replicas", func() bool { return w.replicas(t, "billing") == replicas })
		w.reconcile(t, "billing", "the watch brings them", func() bool {
			target, _ := w.runner.target(w.key("billing"))
			return target.Replicas == replicas
		})
	}
	w.clock.advance(time.Minute)
	w.reconcile(t, "billing", "status", func() bool {
		status := w.status(t, "billing")
		return status.LastScale != nil && status.LastScale.To == 1 && status.LastScale.Manager == "backlog-scaler" && status.Replicas.Decided == 1
	})
	if got := w.reason(t, "billing", v1alpha1.ConditionReady); got != "True/Accepted" {
		t.Errorf("Ready is %s", got)
	}
}

// TestViaScaleIsRefused: nothing is written where something else owns the workload, and the status says what.
func TestViaScaleIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, test := range map[string]struct {
		own  func(t *testing.T, name string) client.Object
		want string
	}{
		"hpa":           {func(t *testing.T, name string) client.Object { return w.hpa(t, name) }, "True/HPAOwnsTarget"},
		"scaled-object": {func(t *testing.T, name string) client.Object { return w.scaledObject(t, name, 10) }, "True/ScaledObjectOwnsTarget"},
	} {
		w.deployment(t, name, 1)
		owner := test.own(t, name)
		w.policy(t, name, asItIs)
		w.runner.want(w.key(name), 1)
		w.reconcile(t, name, test.want, func() bool { return w.reason(t, name, v1alpha1.ConditionConflicted) == test.want })
		w.runner.want(w.key(name), 8)
		w.settle(t, name)
		if got := w.replicas(t, name); got != 1 {
			t.Errorf("%s: %d replicas although something else owns them", name, got)
		}
		if events := w.events(t, name); events["Conflicted"] != 1 {
			t.Errorf("%s: events %v, want Conflicted once", name, events)
		}
		check(t, w.client.Delete(t.Context(), owner))
		w.clock.advance(time.Minute)
		w.reconcile(t, name, "the owner is gone", func() bool {
			return w.replicas(t, name) == 8 && w.reason(t, name, v1alpha1.ConditionConflicted) == "False/NoConflict"
		})
	}
}

// TestOlderPolicy: of two policies with one workload the older one writes.
func TestOlderPolicy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deployment(t, "a", 1)
	w.policy(t, "a", asItIs)
	w.policy(t, "b", func(s *v1alpha1.AutoscalerPolicySpec) { s.ScaleTargetRef.Name = "a" })
	w.runner.want(w.key("b"), 9)
	w.reconcile(t, "b", "OlderPolicy", func() bool { return w.reason(t, "b", v1alpha1.ConditionConflicted) == "True/OlderPolicy" })
	w.runner.want(w.key("a"), 3)
	w.reconcile(t, "a", "the older policy writes", func() bool { return w.replicas(t, "a") == 3 })
	w.settle(t, "b")
	if got := w.replicas(t, "a"); got != 3 {
		t.Errorf("%d replicas, want those of the older policy", got)
	}
	check(t, w.client.Delete(t.Context(), &v1alpha1.AutoscalerPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "a"}}))
	w.clock.advance(time.Minute)
	w.reconcile(t, "b", "the older policy is gone", func() bool { return w.replicas(t, "a") == 9 })
}

// TestForeignWriter: a client that resets the replicas again and again is named, and answered once a minute.
func TestForeignWriter(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deployment(t, "billing", 2)
	w.policy(t, "billing", asItIs)
	w.runner.want(w.key("billing"), 8)
	written := func() bool { return w.replicas(t, "billing") == 8 }
	for range 3 {
		w.reconcile(t, "billing", "eight replicas", written)
		w.reconcile(t, "billing", "the watch brings them", func() bool {
			target, _ := w.runner.target(w.key("billing"))
			return target.Replicas == 8
		})
		w.clock.advance(20 * time.Second)
		w.scale(t, 2, "argocd-controller")
	}
	w.reconcile(t, "billing", "ForeignWriter", func() bool { return w.reason(t, "billing", v1alpha1.ConditionConflicted) == "True/ForeignWriter" })
	w.settle(t, "billing")
	if got := w.replicas(t, "billing"); got != 2 {
		t.Errorf("%d replicas within a minute, want those of the other writer", got)
	}
	w.clock.advance(time.Minute)
	w.reconcile(t, "billing", "a minute later", written)
	w.clock.advance(11 * time.Minute)
	w.reconcile(t, "billing", "the end", func() bool { return w.reason(t, "billing", v1alpha1.ConditionConflicted) == "False/NoConflict" })
}

// TestObserve: everything is reported, and nothing but the status and events is written.
func TestObserve(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deployment(t, "billing", 1)
	w.policy(t, "billing", func(s *v1alpha1.AutoscalerPolicySpec) { s.Mode = v1alpha1.Observe })
	w.runner.want(w.key("billing"), 8)
	w.reconcile(t, "billing", "the status", func() bool { return w.status(t, "billing").Replicas.Decided == 8 })
	w.settle(t, "billing")
	if got := w.replicas(t, "billing"); got != 1 {
		t.Errorf("%d replicas, want 1", got)
	}
}
