package policies_test

import (
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/backlog-scaler/backlog-scaler/api/v1alpha1"
	"github.com/backlog-scaler/backlog-scaler/internal/policies"
)

func quantity(text string) *resource.Quantity { return new(resource.MustParse(text)) }

// TestFacts: what is known of a workload follows its changes.
func TestFacts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.policy(t, "billing", viaKEDA(v1alpha1.JumpFromZero))
	target := func(holds func(policies.Target) bool) func() bool {
		return func() bool {
			target, known := w.runner.target(w.key("billing"))
			return known && holds(target)
		}
	}
	w.reconcile(t, "billing", "a workload that does not exist", target(func(target policies.Target) bool {
		return target.Err != nil && strings.Contains(target.Err.Error(), `Deployment "billing"`)
	}))
	w.deployment(t, "billing", 3)
	w.reconcile(t, "billing", "three replicas", target(func(target policies.Target) bool {
		return target.Err == nil && target.Replicas == 3 && target.Available == 0 && !target.LastScale.IsZero() && target.HeldUntil.IsZero()
	}))
	w.scale(t, 4, "kubectl")
	w.reconcile(t, "billing", "four replicas", target(func(target policies.Target) bool { return target.Replicas == 4 && target.HeldUntil.IsZero() }))
	// The manager of a jump.
	w.scale(t, 5, "backlog-scaler")
	w.reconcile(t, "billing", "a jump is held", target(func(target policies.Target) bool {
		return target.Replicas == 5 && target.HeldUntil.After(target.LastScale)
	}))
	object := w.scaledObject(t, "billing", 10)
	for annotation, paused := range map[string]bool{
		"autoscaling.keda.sh/paused": true, "autoscaling.keda.sh/paused-replicas": true, "autoscaling.keda.sh/paused-scale-out": false,
	} {
		before := object.DeepCopy()
		object.SetAnnotations(map[string]string{annotation: "true"})
		check(t, w.client.Patch(t.Context(), object, client.MergeFrom(before)))
		w.reconcile(t, "billing", annotation, target(func(target policies.Target) bool { return target.Paused == paused }))
	}
	check(t, w.client.Delete(t.Context(), &v1alpha1.AutoscalerPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "billing"}}))
	w.reconcile(t, "billing", "a policy that was deleted", func() bool { return len(w.runner.known()) == 0 })
}

// TestOtherKinds: a kind that is not watched is read and written through its scale subresource. A ReplicaSet without a
// Deployment stands for it.
func TestOtherKinds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	labels := map[string]string{"app": "set"}
	set := &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "set"},
		Spec: appsv1.ReplicaSetSpec{
			Replicas: new(int32(2)), Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "worker", Image: "worker"}}},
			},
		},
	}
	check(t, w.client.Create(t.Context(), set))
	w.policy(t, "set", func(s *v1alpha1.AutoscalerPolicySpec) { s.ScaleTargetRef.Kind = "ReplicaSet" })
	for _, replicas := range []int32{2, 3, 0, 1} {
		w.runner.want(w.key("set"), replicas)
		w.reconcile(t, "set", "the decided replicas", func() bool {
			check(t, w.client.Get(t.Context(), client.ObjectKeyFromObject(set), set))
			target, known := w.runner.target(w.key("set"))
			return *set.Spec.Replicas == replicas && known && target.Err == nil && target.Replicas == replicas
		})
	}
	for name, ref := range map[string]v1alpha1.TargetRef{
		"unknown":  {APIVersion: "example.com/v1", Kind: "Nothing", Name: "a"},
		"no-scale": {APIVersion: "v1", Kind: "Namespace", Name: "default"},
	} {
		w.policy(t, name, func(s *v1alpha1.AutoscalerPolicySpec) { s.ScaleTargetRef = ref })
		w.runner.want(w.key(name), 1)
		w.reconcile(t, name, "TargetNotFound", func() bool {
			target, known := w.runner.target(w.key(name))
			return known && target.Err != nil && w.reason(t, name, v1alpha1.ConditionReady) == "False/TargetNotFound"
		})
	}
}
