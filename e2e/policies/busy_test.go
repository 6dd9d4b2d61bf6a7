package policies_test

import (
	"fmt"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/backlog-scaler/backlog-scaler/api/v1alpha1"
)

// busyAnnotation makes a pod busy.
const busyAnnotation = "example.com/busy"

// TestBusyPods: the pods of a Deployment are known with their deletion costs. Before replicas fall the busy ones are marked,
// and the ReplicaSet deletes the others.
func TestBusyPods(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deployment(t, "billing", 6)
	pods := w.runningPods(t, "billing", 6)
	busy := []string{pods[0].Name, pods[3].Name, pods[5].Name}
	for i := range pods {
		if slices.Contains(busy, pods[i].Name) {
			w.annotate(t, &pods[i], "true")
		}
	}
	w.policy(t, "billing", func(s *v1alpha1.AutoscalerPolicySpec) {
		s.BusyPods = &v1alpha1.BusyPods{From: v1alpha1.BusyFromAnnotation, Annotation: busyAnnotation, Keep: v1alpha1.Strict}
	})
	w.runner.want(w.key("billing"), 6)
	w.reconcile(t, "billing", "pods are watched", func() bool {
		target, known := w.runner.target(w.key("billing"))
		return known && target.Pods.Known && len(target.Pods.All) == 6 && target.Pods.Busy() == 3
	})
	if target, _ := w.runner.target(w.key("billing")); target.Pods.Spare() != 0 {
		t.Errorf("%d pods can be deleted before the busy ones are marked", target.Pods.Spare())
	}
	// As a strict policy decides: no lower number until the pods show their costs.
	w.runner.fall(w.key("billing"), 3)
	w.reconcile(t, "billing", "three replicas", func() bool { return w.replicas(t, "billing") == 3 })
	var left []string
	eventually(t, "three pods", func() bool {
		left = nil
		for _, pod := range w.pods(t, "billing") {
			if pod.DeletionTimestamp == nil {
				left = append(left, pod.Name)
			}
		}
		return len(left) == 3
	})
	slices.Sort(left)
	slices.Sort(busy)
	if !slices.Equal(left, busy) {
		t.Errorf("pods %v are left, want the busy ones %v", left, busy)
	}
}

// TestForeignDeletionCost: a cost that another manager set stays.
func TestForeignDeletionCost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deployment(t, "billing", 1)
	pod := w.runningPods(t, "billing", 1)[0]
	before := pod.DeepCopy()
	metav1.SetMetaDataAnnotation(&pod.ObjectMeta, "controller.kubernetes.io/pod-deletion-cost", "-5")
	metav1.SetMetaDataAnnotation(&pod.ObjectMeta, busyAnnotation, "true")
	check(t, w.client.Patch(t.Context(), &pod, client.MergeFrom(before)))
	w.policy(t, "billing", func(s *v1alpha1.AutoscalerPolicySpec) {
		s.BusyPods = &v1alpha1.BusyPods{From: v1alpha1.BusyFromAnnotation, Annotation: busyAnnotation}
	})
	w.runner.fall(w.key("billing"), 0)
	w.reconcile(t, "billing", "pods are watched", func() bool {
		target, known := w.runner.target(w.key("billing"))
		return known && target.Pods.Known && target.Pods.Busy() == 1
	})
	w.settle(t, "billing")
	if got := w.pods(t, "billing")[0].Annotations["controller.kubernetes.io/pod-deletion-cost"]; got != "-5" {
		t.Errorf("the deletion cost is %s, want that of its owner", got)
	}
}

func (w *world) pods(t *testing.T, app string) []corev1.Pod {
	t.Helper()
	var list corev1.PodList
	check(t, w.client.List(t.Context(), &list, client.InNamespace(w.namespace), client.MatchingLabels{"app": app}))
	return list.Items
}

// runningPods waits for the pods of a Deployment, binds them to a node and has them run, as a scheduler and a kubelet do.
func (w *world) runningPods(t *testing.T, app string, n int) []corev1.Pod {
	t.Helper()
	eventually(t, fmt.Sprintf("%d pods", n), func() bool { return len(w.pods(t, app)) == n })
	pods := w.pods(t, app)
	for i := range pods {
		pod := &pods[i]
		check(t, w.client.SubResource("binding").Create(t.Context(), pod, &corev1.Binding{
			ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name}, Target: corev1.ObjectReference{Kind: "Node", Name: "node"},
		}))
		check(t, w.client.Get(t.Context(), client.ObjectKeyFromObject(pod), pod))
		pod.Status.Phase, pod.Status.PodIP, pod.Status.PodIPs = corev1.PodRunning, "10.1.0.1", []corev1.PodIP{{IP: "10.1.0.1"}}
		pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.Now()}}
		check(t, w.client.Status().Update(t.Context(), pod))
	}
	return pods
}

func (w *world) annotate(t *testing.T, pod *corev1.Pod, value string) {
	t.Helper()
	before := pod.DeepCopy()
	metav1.SetMetaDataAnnotation(&pod.ObjectMeta, busyAnnotation, value)
	check(t, w.client.Patch(t.Context(), pod, client.MergeFrom(before)))
}
