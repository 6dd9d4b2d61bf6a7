package kube

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/backlog-scaler/backlog-scaler/api/v1alpha1"
)

// maxAnnotation is the length of the values of annotations that are kept of a pod. That of a busy
// pod is "true", and a deletion cost has at most eleven characters.
const maxAnnotation = 16

// deletionCost is the annotation by which a ReplicaSet orders the pods that it deletes:
// https://kubernetes.io/docs/reference/labels-annotations-taints/#pod-deletion-cost
const deletionCost = "controller.kubernetes.io/pod-deletion-cost"

// strip reduces an object before it is cached, so that the memory of a watch depends on the number of
// objects and not on their size. It keeps what the package reads. An informer may apply it to its
// own result, so it is idempotent.
func strip(object any) (any, error) {
	switch o := object.(type) {
	case *v1alpha1.AutoscalerPolicy:
		plain := *o
		plain.ManagedFields, plain.Annotations, plain.Labels = nil, nil, nil
		return &plain, nil
	case *appsv1.Deployment:
		return stripDeployment(o), nil
	case *appsv1.StatefulSet:
		return stripStatefulSet(o), nil
	case *autoscalingv2.HorizontalPodAutoscaler:
		return stripHPA(o), nil
	case *corev1.Pod:
		return stripPod(o), nil
	case *unstructured.Unstructured:
		return stripScaledObject(o), nil
	default:
		return object, nil
	}
}

func stripDeployment(d *appsv1.Deployment) *appsv1.Deployment {
	return &appsv1.Deployment{
		TypeMeta: d.TypeMeta, ObjectMeta: stripMeta(&d.ObjectMeta),
		Spec:   appsv1.DeploymentSpec{Replicas: d.Spec.Replicas, Selector: d.Spec.Selector},
		Status: appsv1.DeploymentStatus{Replicas: d.Status.Replicas, AvailableReplicas: d.Status.AvailableReplicas},
	}
}

func stripStatefulSet(s *appsv1.StatefulSet) *appsv1.StatefulSet {
	return &appsv1.StatefulSet{
		TypeMeta: s.TypeMeta, ObjectMeta: stripMeta(&s.ObjectMeta),
		Spec:   appsv1.StatefulSetSpec{Replicas: s.Spec.Replicas, Selector: s.Spec.Selector},
		Status: appsv1.StatefulSetStatus{Replicas: s.Status.Replicas, AvailableReplicas: s.Status.AvailableReplicas},
	}
}

func stripHPA(h *autoscalingv2.HorizontalPodAutoscaler) *autoscalingv2.HorizontalPodAutoscaler {
	stripped := &autoscalingv2.HorizontalPodAutoscaler{TypeMeta: h.TypeMeta, ObjectMeta: stripMeta(&h.ObjectMeta)}
	stripped.OwnerReferences = h.OwnerReferences
	stripped.Spec.ScaleTargetRef, stripped.Spec.MaxReplicas = h.Spec.ScaleTargetRef, h.Spec.MaxReplicas
	return stripped
}

// stripScaledObject keeps the target, the maximum, the annotations that pause it, and of each
// trigger only the name of a policy.
func stripScaledObject(u *unstructured.Unstructured) *unstructured.Unstructured {
	stripped := &unstructured.Unstructured{Object: map[string]any{}}
	stripped.SetGroupVersionKind(u.GroupVersionKind())
	stripped.SetNamespace(u.GetNamespace())
	stripped.SetName(u.GetName())
	stripped.SetUID(u.GetUID())
	stripped.SetResourceVersion(u.GetResourceVersion())
	annotations := make(map[string]string)
	for _, key := range []string{pausedAnnotation, pausedReplicasAnnotation, pausedScaleOutAnnotation} {
		if value, found := u.GetAnnotations()[key]; found {
			annotations[key] = truncate(value, maxAnnotation)
		}
	}
	if len(annotations) > 0 {
		stripped.SetAnnotations(annotations)
	}
	spec := map[string]any{}
	if target, found, _ := unstructured.NestedMap(u.Object, "spec", "scaleTargetRef"); found {
		spec["scaleTargetRef"] = map[string]any{"apiVersion": target["apiVersion"], "kind": target["kind"], "name": target["name"]}
	}
	if largest, found, _ := unstructured.NestedInt64(u.Object, "spec", "maxReplicaCount"); found {
		spec["maxReplicaCount"] = largest
	}
	triggers, _, _ := unstructured.NestedSlice(u.Object, "spec", "triggers")
	kept := make([]any, 0, len(triggers))
	for _, trigger := range triggers {
		fields, _ := trigger.(map[string]any)
		name, _, _ := unstructured.NestedString(fields, "metadata", "policy")
		kept = append(kept, map[string]any{"metadata": map[string]any{"policy": name}})
	}
	spec["triggers"] = kept
	stripped.Object["spec"] = spec
	return stripped
}

// stripPod keeps what a ReplicaSet orders pods by, and by what a busy one is known.
func stripPod(p *corev1.Pod) *corev1.Pod {
	stripped := &corev1.Pod{TypeMeta: p.TypeMeta, ObjectMeta: metav1.ObjectMeta{
		Name: p.Name, Namespace: p.Namespace, UID: p.UID, ResourceVersion: p.ResourceVersion, Labels: p.Labels, DeletionTimestamp: p.DeletionTimestamp,
	}}
	for key, value := range p.Annotations {
		if len(value) <= maxAnnotation {
			metav1.SetMetaDataAnnotation(&stripped.ObjectMeta, key, value)
		}
	}
	stripped.Spec = corev1.PodSpec{
		NodeName: p.Spec.NodeName, HostNetwork: p.Spec.HostNetwork,
		Hostname: p.Spec.Hostname, HostnameOverride: p.Spec.HostnameOverride, SetHostnameAsFQDN: p.Spec.SetHostnameAsFQDN,
	}
	stripped.Status = corev1.PodStatus{Phase: p.Status.Phase, PodIP: p.Status.PodIP}
	for i := range p.Status.Conditions {
		if c := &p.Status.Conditions[i]; c.Type == corev1.PodReady {
			stripped.Status.Conditions = []corev1.PodCondition{{Type: c.Type, Status: c.Status}}
		}
	}
	return stripped
}

// stripMeta keeps the identity and the writers of the replicas.
func stripMeta(meta *metav1.ObjectMeta) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Name: meta.Name, Namespace: meta.Namespace, UID: meta.UID, ResourceVersion: meta.ResourceVersion, Generation: meta.Generation,
		CreationTimestamp: meta.CreationTimestamp, DeletionTimestamp: meta.DeletionTimestamp, ManagedFields: replicasWriters(meta.ManagedFields),
	}
}

// replicasWriters returns the entries of the managers that own spec.replicas, without the fields.
func replicasWriters(entries []metav1.ManagedFieldsEntry) []metav1.ManagedFieldsEntry {
	var owners []metav1.ManagedFieldsEntry
	for i := range entries {
		entry := &entries[i]
		if entry.FieldsV1 == nil || ownsReplicas(entry.FieldsV1.GetRawBytes()) {
			owners = append(owners, metav1.ManagedFieldsEntry{Manager: entry.Manager, Operation: entry.Operation, Time: entry.Time, Subresource: entry.Subresource})
		}
	}
	return owners
}

// ownsReplicas reports whether a set of fields has spec.replicas:
// https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/object-meta/#ObjectMeta
func ownsReplicas(fields []byte) bool {
	if !bytes.Contains(fields, []byte(`"f:replicas"`)) {
		return false
	}
	var set struct {
		Spec struct {
			Replicas json.RawMessage `json:"f:replicas"`
		} `json:"f:spec"`
	}
	return json.Unmarshal(fields, &set) == nil && set.Spec.Replicas != nil
}

// lastWriter returns the manager that wrote the replicas last, and when: the second in which it
// did. A write of the scale subresource has no time; it takes the replicas from any other manager
// that had another number, so an entry of it is the last one. Both results are zero if no manager
// owns the replicas.
func lastWriter(entries []metav1.ManagedFieldsEntry) (manager string, at time.Time) {
	for i := range entries {
		entry := &entries[i]
		switch {
		case entry.Subresource == "scale":
			return entry.Manager, timeOf(entry)
		case manager == "" || timeOf(entry).After(at):
			manager, at = entry.Manager, timeOf(entry)
		}
	}
	return manager, at
}

func timeOf(entry *metav1.ManagedFieldsEntry) time.Time {
	if entry.Time == nil {
		return time.Time{}
	}
	return entry.Time.Time
}

// truncate shortens a text to a number of bytes and says so.
func truncate(text string, length int) string {
	if len(text) <= length {
		return text
	}
	return string(bytes.ToValidUTF8([]byte(text[:length-3]), nil)) + "..."
}

// costOf returns the deletion cost of a pod; 0 without one, as a ReplicaSet takes it:
// https://github.com/kubernetes/kubernetes/blob/v1.36.0/pkg/apis/core/helper/helpers.go#L533
func costOf(p *corev1.Pod) int32 {
	cost, err := strconv.ParseInt(p.Annotations[deletionCost], 10, 32)
	if err != nil {
		return 0
	}
	return int32(cost)
}
