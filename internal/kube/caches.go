package kube

import (
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/backlog-scaler/backlog-scaler/api/v1alpha1"
	"github.com/backlog-scaler/backlog-scaler/internal/kube/api"
)

// The indices of the caches.
const (
	// byTarget finds what scales a workload.
	byTarget = "target"
	// byPolicy finds the ScaledObjects that have a trigger with a policy.
	byPolicy = "policy"
	// byBusyPods finds the policies that spare busy pods, by whatSpares.
	byBusyPods = "busyPods"
)

// whatSpares is the value of every policy in the index byBusyPods.
const whatSpares = "true"

// caches have what is watched. Their objects are not to be modified.
type caches struct {
	policies      *api.Cache[*v1alpha1.AutoscalerPolicy]
	deployments   *api.Cache[*appsv1.Deployment]
	statefulSets  *api.Cache[*appsv1.StatefulSet]
	hpas          *api.Cache[*autoscalingv2.HorizontalPodAutoscaler]
	scaledObjects *api.Cache[*unstructured.Unstructured]
	pods          *api.Cache[*corev1.Pod]
}

// newCaches makes the caches. They pass what has changed to the handlers of the controller.
func (c *Controller) newCaches() (err error) {
	if c.policies, err = newCache(c, c.client.Typed("AutoscalerPolicy", policyResource(), &v1alpha1.AutoscalerPolicy{}), c.onPolicy,
		map[string]func(*v1alpha1.AutoscalerPolicy) []string{byTarget: targetOfPolicy, byBusyPods: sparesBusyPods}); err != nil {
		return err
	}
	apps := appsv1.SchemeGroupVersion
	if c.deployments, err = newCache(c, c.client.Typed("Deployment", apps.WithResource("deployments"), &appsv1.Deployment{}), c.onDeployment, nil); err != nil {
		return err
	}
	if c.statefulSets, err = newCache(c, c.client.Typed("StatefulSet", apps.WithResource("statefulsets"), &appsv1.StatefulSet{}), c.onStatefulSet, nil); err != nil {
		return err
	}
	hpas := autoscalingv2.SchemeGroupVersion.WithResource("horizontalpodautoscalers")
	if c.hpas, err = newCache(c, c.client.Typed("HorizontalPodAutoscaler", hpas, &autoscalingv2.HorizontalPodAutoscaler{}), c.onHPA,
		map[string]func(*autoscalingv2.HorizontalPodAutoscaler) []string{byTarget: targetOfHPA}); err != nil {
		return err
	}
	if c.scaledObjects, err = newCache(c, c.client.Unstructured(scaledObjectKind(), "scaledobjects"), c.onScaledObject,
		map[string]func(*unstructured.Unstructured) []string{
			byTarget: func(u *unstructured.Unstructured) []string { return []string{parseScaledObject(u).target} },
			byPolicy: func(u *unstructured.Unstructured) []string { return parseScaledObject(u).policies },
		}); err != nil {
		return err
	}
	c.pods, err = newCache(c, c.client.Typed("Pod", podResource(), &corev1.Pod{}), c.onPod, nil)
	return err
}

func newCache[T api.Object](c *Controller, source api.Source, changed func(T), indices map[string]func(T) []string) (*api.Cache[T], error) {
	return api.NewCache(source, api.Options[T]{Namespaces: c.options.Namespaces, Strip: strip, Indices: indices, Changed: changed})
}

func targetOfPolicy(p *v1alpha1.AutoscalerPolicy) []string {
	ref := p.Spec.ScaleTargetRef
	return []string{targetOf(ref.APIVersion, ref.Kind, ref.Name)}
}

func sparesBusyPods(p *v1alpha1.AutoscalerPolicy) []string {
	if p.Spec.BusyPods == nil {
		return nil
	}
	return []string{whatSpares}
}

func targetOfHPA(h *autoscalingv2.HorizontalPodAutoscaler) []string {
	ref := h.Spec.ScaleTargetRef
	return []string{targetOf(ref.APIVersion, ref.Kind, ref.Name)}
}

// targetOf is the index value of a workload. The version of its API does not matter: all versions
// are the same object. Defaults are those of a policy and of a ScaledObject.
func targetOf(apiVersion, kind, name string) string {
	if apiVersion == "" {
		apiVersion = "apps/v1"
	}
	if kind == "" {
		kind = "Deployment"
	}
	group, _, found := strings.Cut(apiVersion, "/")
	if !found {
		group = ""
	}
	return group + "/" + kind + "/" + name
}

// isAbsent reports whether an error of a list says that the API server does not know a kind.
func isAbsent(err error) bool { return meta.IsNoMatchError(err) || apierrors.IsNotFound(err) }

func policyResource() schema.GroupVersionResource {
	return v1alpha1.GroupVersion().WithResource("autoscalerpolicies")
}

func podResource() schema.GroupVersionResource {
	return corev1.SchemeGroupVersion.WithResource("pods")
}

func scaledObjectKind() schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: "keda.sh", Version: "v1alpha1", Kind: "ScaledObject"}
}
