package kube

import (
	"context"
	"errors"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/backlog-scaler/backlog-scaler/internal/policies"
)

// fieldManager owns what the package writes:
// https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management
const fieldManager = "backlog-scaler"

// errNoWorkload is a workload that does not exist, or whose kind has no scale subresource.
var errNoWorkload = errors.New("workload not found")

// workload is the target of a policy as it was read last.
type workload struct {
	kind            schema.GroupVersionKind
	namespace, name string
	uid             string
	resourceVersion string
	// replicas is spec.replicas; available is the number of replicas that have been ready for
	// minReadySeconds, or what comes closest for kinds that do not count them.
	replicas, available int32
	// writer is the field manager that wrote replicas last, and writtenAt when: what this replica
	// saw, or the whole second of a managed field. Both are zero if unknown.
	writer    string
	writtenAt time.Time
	// selector selects its pods.
	selector labels.Selector
	// ordered reports that the pod with the highest ordinal is deleted first.
	ordered bool
}

// isWatched reports whether the cache has the workloads of a kind.
func isWatched(ref policies.Ref) bool {
	return ref.APIVersion == "apps/v1" && (ref.Kind == "Deployment" || ref.Kind == "StatefulSet")
}

// readWorkload reads the target of a policy: a Deployment and a StatefulSet from the cache, any
// other kind from the API server. The error wraps errNoWorkload if it does not exist.
func (c *Controller) readWorkload(ctx context.Context, namespace string, ref policies.Ref) (workload, error) {
	if !isWatched(ref) {
		return c.readLive(ctx, namespace, ref)
	}
	kind := appsv1.SchemeGroupVersion.WithKind(ref.Kind)
	if d, found := c.deployments.Get(namespace, ref.Name); found && ref.Kind == "Deployment" {
		w := newWorkload(d, kind)
		w.replicas, w.available = replicasOf(d.Spec.Replicas), d.Status.AvailableReplicas
		return w.withSelector(d.Spec.Selector)
	}
	if s, found := c.statefulSets.Get(namespace, ref.Name); found && ref.Kind == "StatefulSet" {
		w := newWorkload(s, kind)
		w.replicas, w.available, w.ordered = replicasOf(s.Spec.Replicas), s.Status.AvailableReplicas, true
		return w.withSelector(s.Spec.Selector)
	}
	return workload{}, fmt.Errorf("%s %q: %w", ref.Kind, ref.Name, errNoWorkload)
}

// readLive reads a workload and its scale subresource. Available replicas are those of the status,
// else the ready ones, else all that the scale subresource counts.
func (c *Controller) readLive(ctx context.Context, namespace string, ref policies.Ref) (workload, error) {
	requests, err := c.client.Resource(ctx, schema.FromAPIVersionAndKind(ref.APIVersion, ref.Kind), namespace)
	switch {
	case isAbsent(err):
		return workload{}, fmt.Errorf("%s %q: %w", ref.Kind, ref.Name, errNoWorkload)
	case err != nil:
		return workload{}, fmt.Errorf("read %s %q: %w", ref.Kind, ref.Name, err)
	}
	object, err := requests.Get(ctx, ref.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return workload{}, fmt.Errorf("%s %q: %w", ref.Kind, ref.Name, errNoWorkload)
	case err != nil:
		return workload{}, fmt.Errorf("read %s %q: %w", ref.Kind, ref.Name, err)
	}
	scale, err := requests.Get(ctx, ref.Name, metav1.GetOptions{}, "scale")
	switch {
	case apierrors.IsNotFound(err):
		return workload{}, fmt.Errorf("%s %q has no scale subresource: %w", ref.Kind, ref.Name, errNoWorkload)
	case err != nil:
		return workload{}, fmt.Errorf("read scale of %s %q: %w", ref.Kind, ref.Name, err)
	}
	w := newWorkload(object, object.GroupVersionKind())
	w.resourceVersion = scale.GetResourceVersion()
	w.replicas = number(scale, "spec", "replicas")
	w.available = number(scale, "status", "replicas")
	for _, field := range []string{"readyReplicas", "availableReplicas"} {
		if _, found, _ := unstructured.NestedInt64(object.Object, "status", field); found {
			w.available = number(object, "status", field)
		}
	}
	text, _, _ := unstructured.NestedString(scale.Object, "status", "selector")
	selector, err := labels.Parse(text)
	if err != nil || text == "" {
		selector = labels.Nothing()
	}
	w.selector = selector
	return w, nil
}

// writeReplicas writes the scale subresource, at the resource version that was read. The error is a
// conflict if the workload has changed since.
func (c *Controller) writeReplicas(ctx context.Context, w *workload, replicas int32) error {
	requests, err := c.client.Resource(ctx, w.kind, w.namespace)
	if err != nil {
		return fmt.Errorf("scale %s %q to %d: %w", w.kind.Kind, w.name, replicas, err)
	}
	scale := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"replicas": int64(replicas)}}}
	scale.SetAPIVersion("autoscaling/v1")
	scale.SetKind("Scale")
	scale.SetNamespace(w.namespace)
	scale.SetName(w.name)
	scale.SetResourceVersion(w.resourceVersion)
	written, err := requests.Update(ctx, scale, metav1.UpdateOptions{FieldManager: fieldManager}, "scale")
	if err != nil {
		return fmt.Errorf("scale %s %q to %d: %w", w.kind.Kind, w.name, replicas, err)
	}
	w.resourceVersion, w.replicas, w.writer = written.GetResourceVersion(), replicas, fieldManager
	return nil
}

func newWorkload(object metav1.Object, kind schema.GroupVersionKind) workload {
	w := workload{
		kind: kind, namespace: object.GetNamespace(), name: object.GetName(), uid: string(object.GetUID()), resourceVersion: object.GetResourceVersion(),
	}
	w.writer, w.writtenAt = lastWriter(replicasWriters(object.GetManagedFields()))
	return w
}

func (w workload) withSelector(selector *metav1.LabelSelector) (workload, error) {
	var err error
	if w.selector, err = metav1.LabelSelectorAsSelector(selector); err != nil {
		return w, fmt.Errorf("read selector of %s %q: %w", w.kind.Kind, w.name, err)
	}
	return w, nil
}

// replicasOf returns the replicas of a workload: one without a number, as the API server sets it.
func replicasOf(pointer *int32) int32 {
	if pointer == nil {
		return 1
	}
	return *pointer
}

// number returns a number of replicas in an object; 0 if the field is missing, which is how a
// scale subresource writes 0.
func number(object *unstructured.Unstructured, fields ...string) int32 {
	value, _, _ := unstructured.NestedInt64(object.Object, fields...)
	return int32(min(max(value, 0), 1<<31-1))
}
