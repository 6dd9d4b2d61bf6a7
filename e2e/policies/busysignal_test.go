package policies_test

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/backlog-scaler/backlog-scaler/api/v1alpha1"
)

// TestBusySignal: the API server refuses a signal that no queue is asked by, and a name that no signal can have.
func TestBusySignal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, tc := range map[string]struct {
		busy v1alpha1.BusyPods
		want string
	}{
		"annotation": {v1alpha1.BusyPods{From: v1alpha1.BusyFromAnnotation, Annotation: busyAnnotation, Signal: "backlog"}, "signal goes with from: Queue"},
		"name":       {v1alpha1.BusyPods{From: v1alpha1.BusyFromQueue, Signal: "1backlog"}, "busyPods.signal"},
	} {
		p := &v1alpha1.AutoscalerPolicy{
			ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name},
			Spec: v1alpha1.AutoscalerPolicySpec{
				Via: v1alpha1.ViaScale, MaxReplicas: 100, ScaleTargetRef: v1alpha1.TargetRef{Name: name}, BusyPods: &tc.busy,
				Signals: []v1alpha1.Signal{{Name: "backlog", Connection: "orders", Trigger: map[string]v1alpha1.TriggerValue{"list": "orders"}}},
			},
		}
		if err := w.client.Create(t.Context(), p); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: the API server answers %v, want %q", name, err, tc.want)
		}
	}
}
