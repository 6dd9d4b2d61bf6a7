// Package crew plays the nodes and the workers of a Deployment: its pods become ready a while after they were made, and
// each one then takes messages from a Redis list, one after the other, until it is deleted.
package crew

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

// look is how long a worker waits for a message before it looks whether its pod is still there.
const look = 200 * time.Millisecond

// Options say whose pods they are and what they do.
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

// A Crew runs until it is closed.
type Crew struct {
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
func Start(ctx context.Context, client kubernetes.Interface, options Options) (*Crew, error) {
	ctx, cancel := context.WithCancel(ctx)
	c := &Crew{
		client: client, options: options, cancel: cancel,
		// Each worker holds a connection while it waits.
		redis: redis.NewClient(&redis.Options{Addr: options.Redis, ClientName: "crew", PoolSize: 200}),
		factory: informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithNamespace(options.Deployment.Namespace),
			informers.WithTweakListOptions(func(l *metav1.ListOptions) { l.LabelSelector = "app=" + options.Deployment.Name })),
		pods: map[types.UID]context.CancelCauseFunc{},
	}
	registration, err := c.factory.Core().V1().Pods().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { c.hire(ctx, object) },
		DeleteFunc: c.dismiss,
	})
	if err != nil {
		cancel()
		return nil, errors.Join(fmt.Errorf("watch the pods of %s: %w", options.Deployment, err), c.redis.Close())
	}
	c.factory.StartWithContext(ctx)
	if !cache.WaitForCacheSync(ctx.Done(), registration.HasSynced) {
		return nil, errors.Join(fmt.Errorf("watch the pods of %s: %w", options.Deployment, context.Cause(ctx)), c.Close())
	}
	return c, nil
}

// Close ends all workers and waits for them. The error is the first that one of them met.
func (c *Crew) Close() error {
	c.cancel()
	c.factory.Shutdown() // after it no worker is hired
	c.workers.Wait()
	closed := c.redis.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	return errors.Join(c.err, closed)
}

// Taken lists the messages that were taken so far, in that order.
func (c *Crew) Taken() ([]Taken, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Taken(nil), c.taken...), c.err
}

func (c *Crew) hire(ctx context.Context, object any) {
	pod, ok := object.(*corev1.Pod)
	if !ok || pod.DeletionTimestamp != nil {
		return
	}
	ofPod, cancel := context.WithCancelCause(ctx)
	c.mu.Lock()
	c.pods[pod.UID] = cancel
	c.mu.Unlock()
	c.workers.Go(func() {
		defer cancel(nil)
		err := c.work(ctx, ofPod, types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name})
		if err == nil || ctx.Err() != nil {
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.err == nil {
			c.err = fmt.Errorf("work in pod %s: %w", pod.Name, err)
		}
	})
}

func (c *Crew) dismiss(object any) {
	if unknown, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = unknown.Obj
	}
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if cancel, known := c.pods[pod.UID]; known {
		cancel(errDeleted)
		delete(c.pods, pod.UID)
	}
}

// work is the life of a worker. One whose pod is deleted ends its message first, as a good worker does on SIGTERM.
func (c *Crew) work(ctx, ofPod context.Context, pod types.NamespacedName) error {
	if !wait(ofPod, c.options.Startup) {
		return nil
	}
	if err := workload.RunPod(ctx, c.client, pod); apierrors.IsNotFound(err) {
		return nil // it was deleted meanwhile
	} else if err != nil {
		return err
	}
	for ofPod.Err() == nil {
		message, err := c.redis.Do(ctx, "BLMOVE", c.options.List, c.options.InFlight, "LEFT", "RIGHT", look.Seconds()).Text()
		if errors.Is(err, redis.Nil) {
			continue
		}
		if err != nil {
			return fmt.Errorf("take a message from %s: %w", c.options.List, err)
		}
		c.mu.Lock()
		c.taken = append(c.taken, Taken{Message: message, At: time.Now()})
		c.mu.Unlock()
		if !wait(ctx, c.options.PerMessage) {
			return nil
		}
		if err := c.redis.LRem(ctx, c.options.InFlight, 1, message).Err(); err != nil {
			return fmt.Errorf("settle a message of %s: %w", c.options.List, err)
		}
	}
	return nil
}

// wait tells whether d passed before ctx ended.
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
