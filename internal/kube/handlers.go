package kube

import (
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/backlog-scaler/backlog-scaler/api/v1alpha1"
	"github.com/backlog-scaler/backlog-scaler/internal/policies"
)

// podDelay collects the changes of pods of one policy.
const podDelay = 200 * time.Millisecond

// onPolicy adds a policy that has changed, and those with the same workload: which of them is the
// oldest may have changed.
func (c *Controller) onPolicy(p *v1alpha1.AutoscalerPolicy) {
	c.queue.add(keyOf(p))
	ref := p.Spec.ScaleTargetRef
	c.addByTarget(p.Namespace, targetOf(ref.APIVersion, ref.Kind, ref.Name))
}

// onDeployment adds the policies of a Deployment.
func (c *Controller) onDeployment(d *appsv1.Deployment) {
	c.addByTarget(d.Namespace, targetOf("apps/v1", "Deployment", d.Name))
}

// onStatefulSet adds the policies of a StatefulSet.
func (c *Controller) onStatefulSet(s *appsv1.StatefulSet) {
	c.addByTarget(s.Namespace, targetOf("apps/v1", "StatefulSet", s.Name))
}

// onHPA adds the policies of the workload that a HorizontalPodAutoscaler scales.
func (c *Controller) onHPA(h *autoscalingv2.HorizontalPodAutoscaler) {
	ref := h.Spec.ScaleTargetRef
	c.addByTarget(h.Namespace, targetOf(ref.APIVersion, ref.Kind, ref.Name))
}

// onScaledObject adds the policies of the workload that a ScaledObject scales, and those that it
// names.
func (c *Controller) onScaledObject(u *unstructured.Unstructured) {
	parsed := parseScaledObject(u)
	c.addByTarget(u.GetNamespace(), parsed.target)
	for _, name := range parsed.policies {
		c.queue.add(policies.Key{Namespace: u.GetNamespace(), Name: name})
	}
}

// onPod adds the policies of the namespace that spare busy pods.
func (c *Controller) onPod(p *corev1.Pod) {
	for _, other := range c.policies.Find(p.Namespace, byBusyPods, whatSpares) {
		c.queue.addAfter(keyOf(other), podDelay)
	}
}

func (c *Controller) addByTarget(namespace, target string) {
	for _, p := range c.policies.Find(namespace, byTarget, target) {
		c.queue.add(keyOf(p))
	}
}

// addAll adds every policy.
func (c *Controller) addAll() {
	for _, p := range c.policies.All() {
		c.queue.add(keyOf(p))
	}
}

func keyOf(p *v1alpha1.AutoscalerPolicy) policies.Key {
	return policies.Key{Namespace: p.Namespace, Name: p.Name}
}
