package kube

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/backlog-scaler/backlog-scaler/api/v1alpha1"
	"github.com/backlog-scaler/backlog-scaler/internal/policy"
)

// listPods returns the pods of a workload from the cache.
func (c *Controller) listPods(w *workload) []*corev1.Pod {
	return selectPods(c.pods.List(w.namespace), w.selector)
}

// selectPods returns the pods with labels, without those that are being deleted or have ended. They are
// ordered by name, so that the same pods are the same target. It may change the slice.
func selectPods(pods []*corev1.Pod, selector labels.Selector) []*corev1.Pod {
	pods = slices.DeleteFunc(pods, func(p *corev1.Pod) bool {
		ended := p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
		return ended || p.DeletionTimestamp != nil || !selector.Matches(labels.Set(p.Labels))
	})
	slices.SortFunc(pods, func(a, b *corev1.Pod) int { return cmp.Compare(a.Name, b.Name) })
	return pods
}

// decidedPods returns what a decision needs to know of pods. All of them may be busy until it was
// read which are.
func (c *Controller) decidedPods(s *subject) policy.Pods {
	decided := policy.Pods{Ordered: s.workload.ordered, Known: true, All: make([]policy.Pod, 0, len(s.pods))}
	for _, p := range s.pods {
		known, isBusy := c.isBusy(s, p)
		decided.Known = decided.Known && known
		decided.All = append(decided.All, policy.Pod{
			Busy: isBusy, Scheduled: p.Spec.NodeName != "", Running: p.Status.Phase == corev1.PodRunning, Ready: isReady(p),
			DeletionCost: costOf(p), Ordinal: ordinalOf(p.Name),
		})
	}
	return decided
}

// isBusy reports whether a pod is busy, and whether that was read. A pod without an address has
// not begun to work.
func (c *Controller) isBusy(s *subject, p *corev1.Pod) (known, isBusy bool) {
	busy := s.object.Spec.BusyPods
	switch {
	case busy.From == v1alpha1.BusyFromAnnotation:
		return true, p.Annotations[busy.Annotation] == "true"
	case p.Status.PodIP == "":
		return true, false
	case busy.From == v1alpha1.BusyFromQueue:
		return s.workers.known, s.workers.isBusy(p)
	default:
		return c.prober.answer(p.UID)
	}
}

func isReady(p *corev1.Pod) bool {
	for i := range p.Status.Conditions {
		if c := &p.Status.Conditions[i]; c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// ordinalOf returns the number at the end of the name of a pod of a StatefulSet; 0 for other names.
func ordinalOf(name string) int32 {
	ordinal, err := strconv.ParseInt(name[strings.LastIndexByte(name, '-')+1:], 10, 32)
	if err != nil {
		return 0
	}
	return int32(ordinal)
}
