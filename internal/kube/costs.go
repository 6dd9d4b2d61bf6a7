package kube

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/backlog-scaler/backlog-scaler/internal/policies"
)

// maxCosts is the number of pods that are marked in one reconciliation. The others follow in the
// next, which the change of these causes.
const maxCosts = 64

// The deletion costs that are written.
const (
	busyCost = "1"
	idleCost = "0"
)

// writeCosts marks busy pods, so that the ReplicaSet deletes others first. It does so only when
// replicas are about to fall, because each mark is a write to the API server. A cost that another
// manager owns stays.
func (c *Controller) writeCosts(ctx context.Context, s *subject, outcome *policies.Outcome) error {
	busy := s.object.Spec.BusyPods
	if busy == nil || !outcome.Decision.Falling || s.workload.ordered {
		return nil
	}
	var errs []error
	written := 0
	for _, p := range s.pods {
		known, isBusy := c.isBusy(s, p)
		cost := wantedCost(p, isBusy)
		if !known || cost == "" || written == maxCosts {
			continue
		}
		written++
		if err := c.writeCost(ctx, p, cost); err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// wantedCost returns the cost that is to be written; empty if the pod has it.
func wantedCost(p *corev1.Pod, busy bool) string {
	switch {
	case busy && costOf(p) < 1:
		return busyCost
	case !busy && p.Annotations[deletionCost] == busyCost:
		return idleCost
	default:
		return ""
	}
}

func (c *Controller) writeCost(ctx context.Context, p *corev1.Pod, cost string) error {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Pod"))
	object.SetNamespace(p.Namespace)
	object.SetName(p.Name)
	// A pod of the same name that is another one is not marked.
	object.SetUID(p.UID)
	object.SetAnnotations(map[string]string{deletionCost: cost})
	pods := c.client.Untyped(podResource(), p.Namespace)
	if _, err := pods.Apply(ctx, p.Name, object, metav1.ApplyOptions{FieldManager: fieldManager}); err != nil {
		return fmt.Errorf("mark pod %q: %w", p.Name, err)
	}
	return nil
}
