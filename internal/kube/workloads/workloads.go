// Package workloads reads the replicas of the workload that a ScaledObject scales. It writes nothing.
package workloads

import (
	"context"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/backlog-scaler/backlog-scaler/internal/kube/api"
)

// A Workload is a Deployment or a StatefulSet.
type Workload struct {
	client          *api.Client
	resource        schema.GroupVersionResource
	namespace, name string
}

// Find returns the workload of a ScaledObject. user is the name by which the API server knows the program,
// and now the clock. The rights to get ScaledObjects, and Deployments or StatefulSets, are needed.
func Find(ctx context.Context, config *rest.Config, user, namespace, scaledObject string, now func() time.Time) (*Workload, error) {
	client, err := api.New(config, user, now)
	if err != nil {
		return nil, err
	}
	w := &Workload{client: client, namespace: namespace}
	if err := w.find(ctx, scaledObject); err != nil {
		client.Close()
		return nil, err
	}
	return w, nil
}

// Close closes the connections.
func (w *Workload) Close() { w.client.Close() }

// find reads which workload a ScaledObject scales. Without a kind it is a Deployment:
// https://keda.sh/docs/2.21/reference/scaledobject-spec/#scaletargetref
func (w *Workload) find(ctx context.Context, scaledObject string) error {
	objects := schema.GroupVersionResource{Group: "keda.sh", Version: "v1alpha1", Resource: "scaledobjects"}
	object, err := w.client.Untyped(objects, w.namespace).Get(ctx, scaledObject, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("read ScaledObject %s/%s: %w", w.namespace, scaledObject, err)
	}
	text := func(field string) string {
		value, _, _ := unstructured.NestedString(object.Object, "spec", "scaleTargetRef", field)
		return value
	}
	w.name = text("name")
	w.resource = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}
	switch kind := text("kind"); kind {
	case "", "Deployment":
	case "StatefulSet":
		w.resource.Resource = "statefulsets"
	default:
		return fmt.Errorf("scaleTargetRef.kind %q of ScaledObject %s/%s: want Deployment or StatefulSet", kind, w.namespace, scaledObject)
	}
	_, _, err = w.Replicas(ctx)
	return err
}

// Replicas returns how many replicas the workload asks for, and how many of them are ready.
func (w *Workload) Replicas(ctx context.Context) (desired, ready int64, err error) {
	object, err := w.client.Untyped(w.resource, w.namespace).Get(ctx, w.name, metav1.GetOptions{})
	if err != nil {
		return 0, 0, fmt.Errorf("read %s %s/%s: %w", w.resource.Resource, w.namespace, w.name, err)
	}
	desired, known, err := unstructured.NestedInt64(object.Object, "spec", "replicas")
	if err == nil && !known {
		err = errors.New("spec.replicas is missing")
	}
	if err != nil {
		return 0, 0, fmt.Errorf("read %s %s/%s: %w", w.resource.Resource, w.namespace, w.name, err)
	}
	ready, _, err = unstructured.NestedInt64(object.Object, "status", "readyReplicas") // none is left out
	return desired, ready, err
}
