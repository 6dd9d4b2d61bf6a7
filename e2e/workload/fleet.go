package workload

import (
	"context"
	"errors"
	"fmt"
	"time"

	kedav1alpha1 "github.com/kedacore/keda/v2/apis/keda/v1alpha1"
	kedainformers "github.com/kedacore/keda/v2/pkg/generated/informers/externalversions"
	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/tools/cache"

	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
)

// makers is how many workloads of a fleet are made at the same time.
const makers = 16

// NewFleet makes many workloads and returns them, in the order of the options, when KEDA is ready to scale all of them. That
// takes at most within. They are watched, not asked one by one.
func NewFleet(ctx context.Context, clients *Clients, within time.Duration, options []Options) ([]*Workload, error) {
	fleet := make([]*Workload, len(options))
	group, making := errgroup.WithContext(ctx)
	group.SetLimit(makers)
	for i, o := range options {
		group.Go(func() (err error) {
			fleet[i], err = New(making, clients, o)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return fleet, waitReady(ctx, clients, within, fleet)
}

// waitReady returns when KEDA is ready to scale every workload.
func waitReady(ctx context.Context, clients *Clients, within time.Duration, fleet []*Workload) error {
	watching, stop := context.WithCancel(ctx)
	factory := kedainformers.NewSharedInformerFactory(clients.KEDA, 0)
	defer factory.Shutdown()
	defer stop()
	informer := factory.Keda().V1alpha1().ScaledObjects().Informer()
	factory.Start(watching.Done())
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return fmt.Errorf("watch scaledobjects: %w", context.Cause(ctx))
	}
	return childprocess.Poll(ctx, fmt.Sprintf("%d scaledobjects", len(fleet)), within, 100*time.Millisecond, func(context.Context) error {
		waiting := 0
		var last error
		for _, w := range fleet {
			item, found, err := informer.GetStore().GetByKey(w.key.String())
			if err != nil {
				return fmt.Errorf("look for scaledobject %s: %w", w.key, err)
			}
			object, ok := item.(*kedav1alpha1.ScaledObject)
			if !found || !ok {
				err = errors.New("the watch has not seen it")
			} else {
				err = accepted(object)
			}
			if err != nil {
				waiting++
				last = fmt.Errorf("%s: %w", w.key, err)
			}
		}
		if waiting > 0 {
			return fmt.Errorf("%d are not ready, such as %w", waiting, last)
		}
		return nil
	})
}

// accepted fails unless KEDA has accepted the ScaledObject and knows the names of its metrics.
func accepted(object *kedav1alpha1.ScaledObject) error {
	ready := object.Status.Conditions.GetReadyCondition()
	if !ready.IsTrue() || len(object.Status.ExternalMetricNames) == 0 {
		return fmt.Errorf("ready is %q (%s), metrics are %v", ready.Status, ready.Message, object.Status.ExternalMetricNames)
	}
	return nil
}
