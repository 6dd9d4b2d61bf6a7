// Package fakeworkers stands in for the nodes and the workers of a Deployment or a ScaledJob. The pods of a Deployment become ready a while after they were
// made, and each then takes messages from a Redis list, one after the other, until it is deleted.
package fakeworkers

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

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
	pods    *podWatch

	mu    sync.Mutex // guards taken: the workers write, tests read
	taken []Taken
}

// Start watches the pods and returns when it has seen those that are there. Close must be called.
func Start(ctx context.Context, client kubernetes.Interface, options Options) (*Workers, error) {
	w := &Workers{
		client: client, options: options,
		// Each worker holds a connection while it waits.
		redis: redis.NewClient(&redis.Options{Addr: options.Redis, ClientName: "fakeworkers", PoolSize: 200}),
	}
	var err error
	if w.pods, err = watchPods(ctx, client, options.Deployment.Namespace, options.Deployment.Name, w.work); err != nil {
		return nil, errors.Join(err, w.redis.Close())
	}
	return w, nil
}

// Close ends all workers and waits for them. The error is the first that one of them met.
func (w *Workers) Close() error { return errors.Join(w.pods.close(), w.redis.Close()) }

// Taken lists the messages that were taken so far, in that order.
func (w *Workers) Taken() ([]Taken, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]Taken(nil), w.taken...), w.pods.failure()
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
