// Package fakeworkers stands in for the nodes and the workers of a Deployment: its pods become ready a while after they were
// made, and each then takes messages from a Redis list, one after the other, until it is deleted.
package fakeworkers

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"github.com/backlog-scaler/backlog-scaler/e2e/workload"
)

// look is how long a worker waits for a message before it checks that its pod is still there.
const look = 200 * time.Millisecond

// Options choose the Deployment and its work.
type Options struct {
	Deployment types.NamespacedName
	// Startup is the time from a pod's creation to its readiness, PerMessage how long a worker works on one message.
	Startup, PerMessage time.Duration
	// Redis is host:port. A worker moves a message from List to InFlight and removes it there when it is done.
	Redis, List, InFlight string
}

// A Taken is a message when a worker took it.
type Taken struct {
	Message string
	At      time.Time
}

// Workers are those of one Deployment. They run until Close.
type Workers struct {
	client  kubernetes.Interface
	redis   *redis.Client
	options Options
	cancel  context.CancelFunc
	factory informers.SharedInformerFactory
	workers sync.WaitGroup

	mu    sync.Mutex                            // guards what follows: the watch and the workers write, tests read
	pods  map[types.UID]context.CancelCauseFunc // each ends the worker of a pod
	taken []Taken
	err   error // the first one of a worker
}

var errDeleted = errors.New("the pod was deleted")

// Start watches the pods and returns when it has seen those that are there. Close must be called.
func Start(ctx context.Context, client kubernetes.Interface, options Options) (*Workers, error) {
	ctx, cancel := context.WithCancel(ctx)
	w := &Workers{
		client: client, options: options, cancel: cancel,
		// Each worker holds a connection while it waits.
		redis: redis.NewClient(&redis.Options{Addr: options.Redis, ClientName: "fakeworkers", PoolSize: 200}),
		factory: informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithNamespace(options.Deployment.Namespace),
			informers.WithTweakListOptions(func(l *metav1.ListOptions) { l.LabelSelector = "app=" + options.Deployment.Name })),
		pods: map[types.UID]context.CancelCauseFunc{},
	}
	registration, err := w.factory.Core().V1().Pods().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { w.startWorker(ctx, object) },
		DeleteFunc: w.stopWorker,
	})
	if err != nil {
		cancel()
		return nil, errors.Join(fmt.Errorf("watch the pods of %s: %w", options.Deployment, err), w.redis.Close())
	}
	w.factory.StartWithContext(ctx)
	if !cache.WaitForCacheSync(ctx.Done(), registration.HasSynced) {
		return nil, errors.Join(fmt.Errorf("watch the pods of %s: %w", options.Deployment, context.Cause(ctx)), w.Close())
	}
	return w, nil
}

// Close ends all workers and waits for them. The error is the first that one of them met.
func (w *Workers) Close() error {
	w.cancel()
	w.factory.Shutdown() // after it no worker starts
	w.workers.Wait()
	closed := w.redis.Close()
	w.mu.Lock()
	defer w.mu.Unlock()
	return errors.Join(w.err, closed)
}

// Taken lists the messages that were taken so far, in that order.
func (w *Workers) Taken() ([]Taken, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]Taken(nil), w.taken...), w.err
}

func (w *Workers) startWorker(ctx context.Context, object any) {
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

func (w *Workers) stopWorker(object any) {
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

// work is the life of a worker. One whose pod is deleted ends its message first, as a good worker does on SIGTERM.
func (w *Workers) work(ctx, ofPod context.Context, pod types.NamespacedName) error {
	if !wait(ofPod, w.options.Startup) {
		return nil
	}
	if err := workload.RunPod(ctx, w.client, pod); apierrors.IsNotFound(err) {
		return nil // it was deleted meanwhile
	} else if err != nil {
		return err
	}
	for ofPod.Err() == nil {
		message, err := w.redis.Do(ctx, "BLMOVE", w.options.List, w.options.InFlight, "LEFT", "RIGHT", look.Seconds()).Text()
		if errors.Is(err, redis.Nil) {
			continue
		}
		if err != nil {
			return fmt.Errorf("take a message from %s: %w", w.options.List, err)
		}
		w.mu.Lock()
		w.taken = append(w.taken, Taken{Message: message, At: time.Now()})
		w.mu.Unlock()
		if !wait(ctx, w.options.PerMessage) {
			return nil
		}
		if err := w.redis.LRem(ctx, w.options.InFlight, 1, message).Err(); err != nil {
			return fmt.Errorf("acknowledge a message of %s: %w", w.options.List, err)
		}
	}
	return nil
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
