package kube

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func fields(text string) *metav1.FieldsV1 { return metav1.NewFieldsV1(text) }

// TestLastWriter: the managers of status.replicas and of other fields are not those of
// spec.replicas.
func TestLastWriter(t *testing.T) {
	t.Parallel()
	at := func(minute int) *metav1.Time {
		return new(metav1.NewTime(start().Add(time.Duration(minute) * time.Minute)))
	}
	entries := []metav1.ManagedFieldsEntry{
		{Manager: "kubectl", Time: at(0), FieldsV1: fields(`{"f:spec":{"f:replicas":{},"f:selector":{}}}`)},
		{Manager: "helm", Time: at(3), FieldsV1: fields(`{"f:spec":{"f:replicas":{}}}`)},
		{Manager: "kube-controller-manager", Time: at(9), Subresource: "status", FieldsV1: fields(`{"f:status":{"f:replicas":{}}}`)},
		{Manager: "helm", Time: at(8), FieldsV1: fields(`{"f:spec":{"f:template":{"f:spec":{"f:replicas":{}}}}}`)},
		{Manager: "broken", Time: at(8), FieldsV1: fields(`{"f:spec":{"f:replicas":`)},
		{Manager: "timeless", FieldsV1: fields(`{"f:spec":{"f:replicas":{}}}`)},
	}
	manager, when := lastWriter(replicasWriters(entries))
	if manager != "helm" || !when.Equal(at(3).Time) {
		t.Errorf("last writer %q at %s, want helm at 09:03", manager, when)
	}
	// The API server writes no time for the scale subresource.
	entries = append(entries, metav1.ManagedFieldsEntry{Manager: "keda", Subresource: "scale", FieldsV1: fields(`{"f:spec":{"f:replicas":{}}}`)})
	if manager, when := lastWriter(replicasWriters(entries)); manager != "keda" || !when.IsZero() {
		t.Errorf("last writer %q at %s, want keda at an unknown time", manager, when)
	}
	if manager, when := lastWriter(nil); manager != "" || !when.IsZero() {
		t.Errorf("without an entry: %q at %s", manager, when)
	}
}

// TestStripDeployment: what is kept does not depend on the size of the object.
func TestStripDeployment(t *testing.T) {
	t.Parallel()
	d := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: "billing", UID: "u", ResourceVersion: "7",
			Annotations: map[string]string{"note": strings.Repeat("x", 1000)},
			ManagedFields: []metav1.ManagedFieldsEntry{
				{Manager: "keda", FieldsV1: fields(`{"f:spec":{"f:replicas":{}}}`)}, {Manager: "kubectl", FieldsV1: fields(`{"f:spec":{}}`)},
			},
		},
		Spec: appsv1.DeploymentSpec{
			Replicas: new(int32(3)), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "billing"}},
			Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "billing", Image: strings.Repeat("x", 1000)}}}},
		},
		Status: appsv1.DeploymentStatus{Replicas: 3, AvailableReplicas: 2, UpdatedReplicas: 1},
	}
	once := stripped(t, d)
	if diff := cmp.Diff(once, stripped(t, once)); diff != "" {
		t.Errorf("stripping twice differs:\n%s", diff)
	}
	kept, ok := once.(*appsv1.Deployment)
	if !ok || kept.ResourceVersion != "7" || *kept.Spec.Replicas != 3 || kept.Status.AvailableReplicas != 2 || len(kept.ManagedFields) != 1 {
		t.Errorf("kept %+v", once)
	}
	if kept.Spec.Template.Spec.Containers != nil || kept.Annotations != nil {
		t.Error("the template or an annotation is kept")
	}
}

func newScaledObject() *unstructured.Unstructured {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(scaledObjectKind())
	return object
}

func TestStripScaledObject(t *testing.T) {
	t.Parallel()
	u := newScaledObject()
	u.SetName("billing")
	u.SetAnnotations(map[string]string{pausedAnnotation: "true", "note": strings.Repeat("x", 1000)})
	u.Object["spec"] = map[string]any{
		"scaleTargetRef": map[string]any{"name": "billing", "envSourceContainerName": "c"}, "maxReplicaCount": int64(30), "pollingInterval": int64(5),
		"triggers": []any{
			map[string]any{"type": "external-push", "metadata": map[string]any{"policy": "billing", "scalerAddress": "a:1"}},
			map[string]any{"type": "cron", "metadata": map[string]any{"timezone": "UTC"}},
			map[string]any{"type": "cpu"},
		},
	}
	once := stripped(t, u)
	if diff := cmp.Diff(once, stripped(t, once)); diff != "" {
		t.Errorf("stripping twice differs:\n%s", diff)
	}
	kept, ok := once.(*unstructured.Unstructured)
	if !ok {
		t.Fatalf("%T", once)
	}
	want := scaledObject{name: "billing", target: "apps/Deployment/billing", policies: []string{"billing"}, others: 2, max: 30, paused: true}
	for name, object := range map[string]*unstructured.Unstructured{"whole": u, "stripped": kept} {
		if diff := cmp.Diff(want, parseScaledObject(object), cmp.AllowUnexported(scaledObject{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if _, found := kept.GetAnnotations()["note"]; found {
		t.Error("an annotation is kept")
	}
}

// TestScaledObjectOfStrangers: fields of any type are no panic.
func TestScaledObjectOfStrangers(t *testing.T) {
	t.Parallel()
	for _, spec := range []any{
		nil, "text",
		map[string]any{"triggers": "x"},
		map[string]any{"triggers": []any{"x", nil, map[string]any{"metadata": int64(5)}}},
		map[string]any{"scaleTargetRef": []any{}},
		map[string]any{"scaleTargetRef": map[string]any{"name": int64(5)}, "maxReplicaCount": "many"},
		map[string]any{"maxReplicaCount": int64(1) << 40},
	} {
		u := newScaledObject()
		u.Object["spec"] = spec
		stripped(t, u)
		if parsed := parseScaledObject(u); parsed.max < 0 {
			t.Errorf("%v: the largest number is %d", spec, parsed.max)
		}
	}
}

func TestStripPod(t *testing.T) {
	t.Parallel()
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: "billing-1", UID: "u", Labels: map[string]string{"app": "billing"},
			Annotations: map[string]string{deletionCost: "-7", "busy": "true", "note": strings.Repeat("x", 1000)},
		},
		Spec: corev1.PodSpec{NodeName: "n", Hostname: "h", SetHostnameAsFQDN: new(true), HostnameOverride: new("o"), Containers: []corev1.Container{{Name: "c"}}},
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning, PodIP: "10.0.0.1",
			Conditions: []corev1.PodCondition{{Type: corev1.PodScheduled, Status: "True"}, {Type: corev1.PodReady, Status: "True", Message: strings.Repeat("x", 1000)}},
		},
	}
	once := stripped(t, p)
	if diff := cmp.Diff(once, stripped(t, once)); diff != "" {
		t.Errorf("stripping twice differs:\n%s", diff)
	}
	kept, ok := once.(*corev1.Pod)
	if !ok || !isReady(kept) || costOf(kept) != -7 || kept.Annotations["busy"] != "true" || kept.Status.PodIP != "10.0.0.1" || kept.Spec.NodeName != "n" ||
		kept.Spec.Hostname != "h" || !*kept.Spec.SetHostnameAsFQDN || *kept.Spec.HostnameOverride != "o" {
		t.Errorf("kept %+v", once)
	}
	if len(kept.Annotations) != 2 || kept.Spec.Containers != nil {
		t.Error("a long annotation or the containers are kept")
	}
}

func stripped(t *testing.T, object any) any {
	t.Helper()
	result, err := strip(object)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func TestOrdinal(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]int32{"web-0": 0, "web-12": 12, "web-x": 0, "web": 0, "web-99999999999": 0, "7": 7} {
		if got := ordinalOf(name); got != want {
			t.Errorf("ordinal of %q is %d, want %d", name, got, want)
		}
	}
}
