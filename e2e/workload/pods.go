package workload

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
)

// WaitPods returns when the Deployment's status counts exactly n pods, and the controller has seen its present spec.
func (w *Workload) WaitPods(ctx context.Context, within time.Duration, n int32) error {
	return childprocess.Poll(ctx, "the pods of "+w.key.String(), within, 100*time.Millisecond, func(ctx context.Context) error {
		deployment, err := w.clients.Kubernetes.AppsV1().Deployments(w.key.Namespace).Get(ctx, w.key.Name, metav1.GetOptions{})
		if err != nil {
			return fmt.Errorf("read deployment %s: %w", w.key, err)
		}
		if deployment.Status.Replicas != n || deployment.Status.ObservedGeneration != deployment.Generation {
			return fmt.Errorf("there are %d pods, want %d", deployment.Status.Replicas, n)
		}
		return nil
	})
}

// MakeReady makes n pods of the Deployment run and be ready, as nodes would.
func (w *Workload) MakeReady(ctx context.Context, n int32) error {
	pods, err := w.clients.Kubernetes.CoreV1().Pods(w.key.Namespace).List(ctx, metav1.ListOptions{LabelSelector: "app=" + w.key.Name})
	if err != nil {
		return fmt.Errorf("list the pods of %s: %w", w.key, err)
	}
	if int(n) > len(pods.Items) {
		return fmt.Errorf("make %d pods of %s ready: there are %d", n, w.key, len(pods.Items))
	}
	for _, pod := range pods.Items[:n] {
		if err := RunPod(ctx, w.clients.Kubernetes, types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}); err != nil {
			return err
		}
	}
	return nil
}

// RunPod writes the status of a pod that runs and is ready. A pod that is gone is an error, as of client-go.
func RunPod(ctx context.Context, client kubernetes.Interface, pod types.NamespacedName) error {
	now := time.Now().UTC().Format(time.RFC3339)
	patch := fmt.Appendf(nil, `{"status":{"phase":%q,"startTime":%q,"conditions":[{"type":%q,"status":"True","lastTransitionTime":%q}]}}`,
		corev1.PodRunning, now, corev1.PodReady, now)
	if _, err := client.CoreV1().Pods(pod.Namespace).Patch(ctx, pod.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status"); err != nil {
		return fmt.Errorf("make pod %s ready: %w", pod, err)
	}
	return nil
}
