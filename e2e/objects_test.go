package e2e_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/e2e/scaler"
	"github.com/backlog-scaler/backlog-scaler/e2e/workload"
	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
)

// sharedQueue points three ScaledObjects with different targets at one list: each gets what its own target says, and the
// scaler watches the list once.
func (s *suite) sharedQueue(t *testing.T) {
	const queue = "shared"
	namespace := s.namespace(t, "shared-queue")
	own := s.startScaler(t, scaler.Options{Name: "scaler-shared", Connections: map[string]scaler.Connection{
		"main": s.connection(s.redis, "*"),
	}})
	replicas := map[string]int32{"2": 5, "5": 2, "10": 1} // by target, for ten messages
	objects := map[string]*workload.Workload{}
	for target := range replicas {
		trigger := s.pushedBy(own.Address(), "main", queue)
		trigger.Metadata["target"] = target
		objects[target] = s.workload(t, workload.Options{
			Namespace: namespace, Name: "target-" + target, Triggers: []workload.Trigger{trigger}, PollingInterval: 2 * time.Second, Cooldown: 2 * time.Second,
		})
	}
	written := time.Now()
	check(t, s.redis.Push(s.ctx, queue, 10))
	for target, w := range objects {
		s.reach(t, w, written, 2*time.Minute, replicas[target])
	}
	watches, err := own.Metric(s.ctx, "backlog_scaler_connection_queues", map[string]string{"connection": "main"})
	check(t, err)
	if watches != 1 {
		t.Errorf("the scaler holds %v watches for three ScaledObjects on one list, want 1", watches)
	}
	check(t, s.redis.Drain(s.ctx, queue))
	drained := time.Now()
	for _, w := range objects {
		s.reach(t, w, drained, time.Minute, 0)
	}
	s.took(t, "shared queue", "from write to all as wanted and back", time.Since(written))
}

// twoTriggers has one ScaledObject wait for two lists: either wakes it, and the larger demand decides.
func (s *suite) twoTriggers(t *testing.T) {
	namespace := s.namespace(t, "two-triggers")
	w := s.workload(t, workload.Options{
		Namespace: namespace, Name: "both", Triggers: []workload.Trigger{s.pushed("two-a"), s.pushed("two-b")},
		PollingInterval: 2 * time.Second, Cooldown: 2 * time.Second,
	})
	for _, queue := range []string{"two-a", "two-b"} {
		written := time.Now()
		check(t, s.redis.Push(s.ctx, queue, 1))
		s.took(t, "two triggers", "0 to 1 by "+queue, s.reach(t, w, written, time.Minute, 1))
		check(t, s.redis.Drain(s.ctx, queue))
		s.reach(t, w, time.Now(), time.Minute, 0)
		// A push in the very moment in which KEDA scales to zero meets a conflict there.
		s.pause(t, time.Second/2)
	}
	written := time.Now()
	check(t, s.redis.Push(s.ctx, "two-a", 5))
	check(t, s.redis.Push(s.ctx, "two-b", 20))
	s.took(t, "two triggers", "to the larger demand of both", s.reach(t, w, written, 2*time.Minute, 4))
	check(t, s.redis.Drain(s.ctx, "two-a"))
	check(t, s.redis.Drain(s.ctx, "two-b"))
	s.reach(t, w, time.Now(), time.Minute, 0)
}

// editInPlace changes target and queue of a living ScaledObject.
func (s *suite) editInPlace(t *testing.T) {
	namespace := s.namespace(t, "edit")
	w := s.workload(t, workload.Options{
		Namespace: namespace, Name: "edited", Triggers: []workload.Trigger{s.pushed("edit-old")}, PollingInterval: 2 * time.Second, Cooldown: 2 * time.Second,
	})
	edited := s.pushed("edit-new")
	edited.Metadata["target"] = "2"
	check(t, w.SetTriggers(s.ctx, edited))
	check(t, childprocess.Poll(s.ctx, "the new target in the HPA", time.Minute, 100*time.Millisecond, func(ctx context.Context) error {
		hpa, err := w.HPA(ctx)
		if err != nil {
			return err
		}
		if got := hpa.Spec.Metrics[0].External.Target.AverageValue.AsApproximateFloat64(); got != 2 {
			return fmt.Errorf("the HPA's target is %v, want 2", got)
		}
		return nil
	}))
	check(t, s.redis.Push(s.ctx, "edit-old", 50)) // no trigger reads this list any more
	s.pause(t, 5*time.Second)
	if n, err := w.Replicas(); err != nil || n != 0 {
		t.Errorf("the former queue still scales: %d replicas, %v", n, err)
	}
	written := time.Now()
	check(t, s.redis.Push(s.ctx, "edit-new", 6))
	s.took(t, "edit in place", "0 to 3", s.reach(t, w, written, 2*time.Minute, 3))
}
