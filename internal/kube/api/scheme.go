package api

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/backlog-scaler/backlog-scaler/api/v1alpha1"
)

// versions returns the API groups and versions of the Go types, with their encoding. Only the API
// server's own kinds have protobuf.
func versions() map[schema.GroupVersion]string {
	return map[schema.GroupVersion]string{
		appsv1.SchemeGroupVersion:         runtime.ContentTypeProtobuf,
		autoscalingv2.SchemeGroupVersion:  runtime.ContentTypeProtobuf,
		coordinationv1.SchemeGroupVersion: runtime.ContentTypeProtobuf,
		corev1.SchemeGroupVersion:         runtime.ContentTypeProtobuf,
		eventsv1.SchemeGroupVersion:       runtime.ContentTypeProtobuf,
		v1alpha1.GroupVersion():           runtime.ContentTypeJSON,
	}
}

// newScheme makes the registry of the Go types that are used, and of no others.
func newScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	known := func(version schema.GroupVersion, types ...runtime.Object) {
		scheme.AddKnownTypes(version, types...)
		metav1.AddToGroupVersion(scheme, version)
	}
	known(appsv1.SchemeGroupVersion, &appsv1.Deployment{}, &appsv1.DeploymentList{}, &appsv1.StatefulSet{}, &appsv1.StatefulSetList{})
	known(autoscalingv2.SchemeGroupVersion, &autoscalingv2.HorizontalPodAutoscaler{}, &autoscalingv2.HorizontalPodAutoscalerList{})
	known(coordinationv1.SchemeGroupVersion, &coordinationv1.Lease{})
	known(corev1.SchemeGroupVersion, &corev1.Pod{}, &corev1.PodList{})
	known(eventsv1.SchemeGroupVersion, &eventsv1.Event{})
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("register types: %w", err)
	}
	return scheme, nil
}
