// Package workload makes Deployments with their ScaledObjects and watches how many replicas they are given.
package workload

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// A Change is one value of a Deployment's spec.replicas.
type Change struct {
	At       time.Time // when the watch delivered it
	Replicas int32
}

// A Tracker watches every Deployment of the cluster and remembers each change of spec.replicas.
type Tracker struct {
	factory informers.SharedInformerFactory

	mu      sync.Mutex // guards both: the watch writes, tests read
	history map[types.NamespacedName][]Change
	changed chan struct{} // closed and replaced at each change
}

// NewTracker starts the watch and returns when it has seen the present state. The watch ends with ctx; call Close then.
func NewTracker(ctx context.Context, client kubernetes.Interface) (*Tracker, error) {
	t := &Tracker{
		factory: informers.NewSharedInformerFactory(client, 0),
		history: map[types.NamespacedName][]Change{},
		changed: make(chan struct{}),
	}
	informer := t.factory.Apps().V1().Deployments().Informer()
	registration, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    t.observe,
		UpdateFunc: func(_, object any) { t.observe(object) },
	})
	if err != nil {
		return nil, fmt.Errorf("watch deployments: %w", err)
	}
	t.factory.StartWithContext(ctx)
	if !cache.WaitForCacheSync(ctx.Done(), registration.HasSynced) {
		return nil, fmt.Errorf("watch deployments: %w", context.Cause(ctx))
	}
	return t, nil
}

// Close waits until the watch has ended, which it does with its context.
func (t *Tracker) Close() { t.factory.Shutdown() }

func (t *Tracker) observe(object any) {
	at := time.Now()
	deployment, ok := object.(*appsv1.Deployment)
	if !ok || deployment.Spec.Replicas == nil {
		return
	}
	key := types.NamespacedName{Namespace: deployment.Namespace, Name: deployment.Name}
	t.mu.Lock()
	defer t.mu.Unlock()
	h := t.history[key]
	if len(h) > 0 && h[len(h)-1].Replicas == *deployment.Spec.Replicas {
		return
	}
	t.history[key] = append(h, Change{At: at, Replicas: *deployment.Spec.Replicas})
	close(t.changed)
	t.changed = make(chan struct{})
}

// Replicas is the present spec.replicas.
func (t *Tracker) Replicas(key types.NamespacedName) (int32, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	h := t.history[key]
	if len(h) == 0 {
		return 0, fmt.Errorf("read replicas of %s: the watch has not seen it", key)
	}
	return h[len(h)-1].Replicas, nil
}

// Wait returns when spec.replicas satisfied accept: at the first change after since that does, or since itself when
// it did then already. It waits at most within.
func (t *Tracker) Wait(
	ctx context.Context, key types.NamespacedName, since time.Time, within time.Duration, accept func(int32) bool,
) (time.Time, error) {
	deadline, cancel := context.WithTimeoutCause(ctx, within, errors.New("it took too long"))
	defer cancel()
	for {
		at, ok, changed := t.find(key, since, accept)
		if ok {
			return at, nil
		}
		select {
		case <-changed:
		case <-deadline.Done():
			n, err := t.Replicas(key)
			return time.Time{}, fmt.Errorf("wait %s for the replicas of %s, now %d: %w", within, key, n,
				errors.Join(context.Cause(deadline), err))
		}
	}
}

// find looks for the change and returns the channel that the next one closes.
func (t *Tracker) find(key types.NamespacedName, since time.Time, accept func(int32) bool) (time.Time, bool, <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, c := range t.history[key] {
		next := i + 1
		over := next < len(t.history[key]) && !t.history[key][next].At.After(since) // replaced before since
		if over || !accept(c.Replicas) {
			continue
		}
		if c.At.Before(since) {
			return since, true, nil
		}
		return c.At, true, nil
	}
	return time.Time{}, false, t.changed
}

// Since lists the values from the one valid at since on.
func (t *Tracker) Since(key types.NamespacedName, since time.Time) []Change {
	t.mu.Lock()
	defer t.mu.Unlock()
	h := t.history[key]
	first := 0
	for i, c := range h {
		if !c.At.After(since) {
			first = i
		}
	}
	return append([]Change(nil), h[first:]...)
}

// Least is the smallest spec.replicas from since on.
func (t *Tracker) Least(key types.NamespacedName, since time.Time) int32 {
	changes := t.Since(key, since)
	if len(changes) == 0 {
		return 0
	}
	least := changes[0].Replicas
	for _, c := range changes {
		least = min(least, c.Replicas)
	}
	return least
}
