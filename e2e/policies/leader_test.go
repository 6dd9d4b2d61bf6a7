package policies_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/backlog-scaler/backlog-scaler/internal/kube"
)

// lease is the Lease of the leader, without what is in it.
func (w *world) lease() *unstructured.Unstructured {
	lease := &unstructured.Unstructured{}
	lease.SetAPIVersion("coordination.k8s.io/v1")
	lease.SetKind("Lease")
	lease.SetNamespace(w.namespace)
	lease.SetName("scaler")
	return lease
}

// TestLeader: of two replicas one writes. Both know all policies. When the leader ends, the other one writes at once, because
// the Lease was released.
func TestLeader(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deployment(t, "billing", 1)
	w.policy(t, "billing", asItIs)
	type replica struct {
		runner *runner
		stop   func()
	}
	begin := func(identity string, replicas int32) replica {
		r := replica{runner: newRunner()}
		r.runner.want(w.key("billing"), replicas)
		controller, err := kube.New(kube.Options{
			Config: plane.Config(), Namespaces: []string{w.namespace}, Lease: "scaler", LeaseNamespace: w.namespace, Identity: identity,
			Runner: r.runner, Logger: slog.New(slog.NewTextHandler(testWriter{t}, nil)), Now: time.Now,
		})
		check(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		group.Go(func() {
			if err := controller.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		r.stop = func() {
			cancel()
			group.Wait()
		}
		t.Cleanup(r.stop)
		return r
	}
	first := begin("first", 5)
	eventually(t, "the leader writes", func() bool { return w.replicas(t, "billing") == 5 })
	second := begin("second", 7)
	eventually(t, "the second replica knows the policy", func() bool {
		target, known := second.runner.target(w.key("billing"))
		return known && target.Replicas == 5
	})
	first.runner.want(w.key("billing"), 6)
	first.runner.changed <- w.key("billing")
	eventually(t, "the leader writes again", func() bool { return w.replicas(t, "billing") == 6 })
	// A Lease that was deleted is made again by the leader, which goes on.
	lease := w.lease()
	check(t, w.client.Delete(t.Context(), lease))
	eventually(t, "the leader makes the Lease again", func() bool {
		again := w.lease()
		if w.client.Get(t.Context(), client.ObjectKeyFromObject(again), again) != nil {
			return false
		}
		holder, _, err := unstructured.NestedString(again.Object, "spec", "holderIdentity")
		return holder == "first" && err == nil
	})
	first.stop()
	eventually(t, "the second replica writes", func() bool { return w.replicas(t, "billing") == 7 })
}
