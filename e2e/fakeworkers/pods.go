package fakeworkers

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

var errDeleted = errors.New("the pod was deleted")

// A podWatch runs a worker for each pod with a label.
type podWatch struct {
	// work is the life of a worker. ctx ends with the watch, ofPod when the pod is deleted, too.
	work    func(ctx, ofPod context.Context, pod types.NamespacedName) error
	cancel  context.CancelFunc
	factory informers.SharedInformerFactory
	workers sync.WaitGroup

	mu   sync.Mutex                            // guards what follows: the watch and the workers write, tests read
	pods map[types.UID]context.CancelCauseFunc // each ends the worker of a pod
	err  error                                 // the first one of a worker
}

// watchPods watches the pods whose label app is a name, and returns when it has seen those that are there. close must be called.
func watchPods(
	ctx context.Context, client kubernetes.Interface, namespace, app string, work func(ctx, ofPod context.Context, pod types.NamespacedName) error,
) (*podWatch, error) {
	ctx, cancel := context.WithCancel(ctx)
	w := &podWatch{
		work: work, cancel: cancel, pods: map[types.UID]context.CancelCauseFunc{},
		factory: informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithNamespace(namespace),
			informers.WithTweakListOptions(func(l *metav1.ListOptions) { l.LabelSelector = "app=" + app })),
	}
	registration, err := w.factory.Core().V1().Pods().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { w.startWorker(ctx, object) },
		DeleteFunc: w.stopWorker,
	})
	if err != nil {
		cancel()
		return nil, fmt.Errorf("watch the pods of %s: %w", app, err)
	}
	w.factory.StartWithContext(ctx)
	if !cache.WaitForCacheSync(ctx.Done(), registration.HasSynced) {
		return nil, errors.Join(fmt.Errorf("watch the pods of %s: %w", app, context.Cause(ctx)), w.close())
	}
	return w, nil
}

// close ends all workers and waits for them. The error is the first that one of them met.
func (w *podWatch) close() error {
	w.cancel()
	w.factory.Shutdown() // after it no worker starts
	w.workers.Wait()
	return w.failure()
}

// failure is the first error of a worker.
func (w *podWatch) failure() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

func (w *podWatch) startWorker(ctx context.Context, object any) {
	pod, ok := object.(*corev1.Pod)
	if !ok || pod.DeletionTimestamp != nil {
		return
	}
	ofPod, cancel := context.WithCancelCause(ctx)
	w.mu.Lock()
	w.pods[pod.UID] = cancel
	w.mu.Unlock()
	w.workers.Go(func() {
		defer cancel(nil)
		err := w.work(ctx, ofPod, types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name})
		if err == nil || ctx.Err() != nil {
			return
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.err == nil {
			w.err = fmt.Errorf("work in pod %s: %w", pod.Name, err)
		}
	})
}

func (w *podWatch) stopWorker(object any) {
	if unknown, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = unknown.Obj
	}
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if cancel, known := w.pods[pod.UID]; known {
		cancel(errDeleted)
		delete(w.pods, pod.UID)
	}
}

// wait reports whether d passed before ctx ended.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
