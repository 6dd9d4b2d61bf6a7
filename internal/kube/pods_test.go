package kube

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/backlog-scaler/backlog-scaler/api/v1alpha1"
	"github.com/backlog-scaler/backlog-scaler/internal/policies"
)

// TestPodsThatWereNotRead: pods that were not read are not known to be none, even if their watch has begun since.
func TestPodsThatWereNotRead(t *testing.T) {
	t.Parallel()
	c := &Controller{sources: &sources{pods: &source{}}}
	c.sources.pods.state.Store(sourceReadable)
	s := subjectOf(policies.ViaScale, owners{known: true})
	s.object.Spec.BusyPods = &v1alpha1.BusyPods{From: v1alpha1.BusyFromAnnotation, Annotation: "busy"}
	if target := c.targetOf(s); target.Pods.Known {
		t.Errorf("the pods are known: %+v", target.Pods)
	}
	s.podsRead = true
	if target := c.targetOf(s); !target.Pods.Known {
		t.Errorf("pods that were read, none: %+v", target.Pods)
	}
}

// TestSelectPods: pods that count, in the same order whatever that of the cache is.
func TestSelectPods(t *testing.T) {
	t.Parallel()
	pod := func(name, app string, phase corev1.PodPhase) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": app}}, Status: corev1.PodStatus{Phase: phase}}
	}
	deleted := pod("e", "billing", corev1.PodRunning)
	deleted.DeletionTimestamp = new(metav1.NewTime(start()))
	pods := []*corev1.Pod{
		pod("c", "billing", corev1.PodPending), pod("a", "billing", corev1.PodRunning), pod("b", "billing", corev1.PodRunning),
		pod("d", "web", corev1.PodRunning), deleted, pod("f", "billing", corev1.PodSucceeded), pod("g", "billing", corev1.PodFailed),
	}
	for range 2 {
		var names []string
		for _, p := range selectPods(slices.Clone(pods), labels.SelectorFromSet(labels.Set{"app": "billing"})) {
			names = append(names, p.Name)
		}
		if diff := cmp.Diff([]string{"a", "b", "c"}, names); diff != "" {
			t.Errorf("pods (-want +got):\n%s", diff)
		}
		slices.Reverse(pods)
	}
}
