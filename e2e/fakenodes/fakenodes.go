// Package fakenodes stands in for the nodes of a cluster: the pods of a namespace become ready as soon as they are made, as many
// as a test allows.
package fakenodes

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	listers "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/backlog-scaler/backlog-scaler/e2e/workload"
)

// retry is the time after which a pod that could not be written is written again, as after an outage of the API server.
const retry = time.Second

// Nodes run the pods of one namespace until Close.
type Nodes struct {
	client  kubernetes.Interface
	cancel  context.CancelFunc
	factory informers.SharedInformerFactory
	pods    listers.PodLister
	running sync.WaitGroup
	// allowed is how many pods become ready. Pods that are ready stay so.
	allowed atomic.Int64
	// changed has room for one value: something is to be looked at.
	changed chan struct{}
}

// Start watches the pods of a namespace and returns when it has seen those that are there. All of them become ready, and those
// to come. Close must be called.
func Start(ctx context.Context, client kubernetes.Interface, namespace string) (*Nodes, error) {
	ctx, cancel := context.WithCancel(ctx)
	n := &Nodes{
		client: client, cancel: cancel, changed: make(chan struct{}, 1),
		factory: informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithNamespace(namespace)),
	}
	n.allowed.Store(math.MaxInt64)
	pods := n.factory.Core().V1().Pods()
	n.pods = pods.Lister()
	registration, err := pods.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { n.wake() },
		UpdateFunc: func(any, any) { n.wake() },
		DeleteFunc: func(any) { n.wake() },
	})
	if err != nil {
		cancel()
		return nil, fmt.Errorf("watch the pods of %s: %w", namespace, err)
	}
	n.factory.StartWithContext(ctx)
	if !cache.WaitForCacheSync(ctx.Done(), registration.HasSynced) {
		n.Close()
		return nil, fmt.Errorf("watch the pods of %s: %w", namespace, context.Cause(ctx))
	}
	n.running.Go(func() { n.run(ctx) })
	return n, nil
}

// Allow says how many pods become ready.
func (n *Nodes) Allow(pods int) {
	n.allowed.Store(int64(pods))
	n.wake()
}

// Close ends the watch and waits for it.
func (n *Nodes) Close() {
	n.cancel()
	n.factory.Shutdown()
	n.running.Wait()
}

func (n *Nodes) wake() {
	select {
	case n.changed <- struct{}{}:
	default:
	}
}

// run makes pods ready after each change, and again after a failure.
func (n *Nodes) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.changed:
		case <-timer.C:
		}
		if err := n.makeReady(ctx); err != nil {
			timer.Reset(retry)
		}
	}
}

// makeReady makes the oldest pods ready, up to the number that is allowed.
func (n *Nodes) makeReady(ctx context.Context) error {
	pods, err := n.pods.List(labels.Everything())
	if err != nil {
		return fmt.Errorf("list pods: %w", err)
	}
	ready := int64(0)
	waiting := make([]*corev1.Pod, 0, len(pods))
	for _, pod := range pods {
		switch {
		case pod.DeletionTimestamp != nil:
		case pod.Status.Phase == corev1.PodRunning:
			ready++
		default:
			waiting = append(waiting, pod)
		}
	}
	slices.SortFunc(waiting, func(a, b *corev1.Pod) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	var errs []error
	for _, pod := range waiting[:min(int64(len(waiting)), max(0, n.allowed.Load()-ready))] {
		err := workload.RunPod(ctx, n.client, types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name})
		if err != nil && !apierrors.IsNotFound(err) { // it was deleted meanwhile
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
