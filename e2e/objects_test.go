package e2e_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/e2e/process"
	"github.com/backlog-scaler/backlog-scaler/e2e/scaler"
	"github.com/backlog-scaler/backlog-scaler/e2e/workload"
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
	watches, err := own.Metric(s.ctx, "backlog_scaler_connection_watches", map[string]string{"connection": "main"})
	check(t, err)
	if watches != 1 {
		t.Errorf("the scaler holds %v watches for three ScaledObjects on one list, want 1", watches)
	}
	check(t, s.redis.Drain(s.ctx, queue))
	drained := time.Now()
	for _, w := range objects {
		s.reach(t, w, drained, time.Minute, 0)
	}
	s.figures.Duration("5 shared queue", "three ScaledObjects, from the write to all as wanted and back", time.Since(written), "each as its target says")
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
		s.within(t, "5 two triggers", "0 to 1 by "+queue, s.reach(t, w, written, time.Minute, 1), time.Second)
		check(t, s.redis.Drain(s.ctx, queue))
		s.reach(t, w, time.Now(), time.Minute, 0)
	}
	written := time.Now()
	check(t, s.redis.Push(s.ctx, "two-a", 5))
	check(t, s.redis.Push(s.ctx, "two-b", 20))
	s.within(t, "5 two triggers", "to the larger demand of both", s.reach(t, w, written, 2*time.Minute, 4), time.Minute)
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
	check(t, process.Poll(s.ctx, "the new target in the HPA", time.Minute, 100*time.Millisecond, func(ctx context.Context) error {
		hpa, err := w.HPA(ctx)
		if err != nil {
			return err
		}
		if got := hpa.Spec.Metrics[0].External.Target.AverageValue.AsApproximateFloat64(); got != 2 {
			return fmt.Errorf("the HPA's target is %v, want 2", got)
		}
		return nil
	}))
	check(t, s.redis.Push(s.ctx, "edit-old", 50)) // nobody waits for this one any more
	s.pause(t, 5*time.Second)
	if n, err := w.Replicas(); err != nil || n != 0 {
		t.Errorf("the former queue still scales: %d replicas, %v", n, err)
	}
	written := time.Now()
	check(t, s.redis.Push(s.ctx, "edit-new", 6))
	s.within(t, "5 edit in place", "0 to 3 on the new queue with the new target", s.reach(t, w, written, 2*time.Minute, 3), time.Minute)
}

// mistakes makes ScaledObjects that cannot work: the scaler's own words must be where their author looks, which is
// "kubectl describe scaledobject".
func (s *suite) mistakes(t *testing.T) {
	namespace := s.namespace(t, "mistakes")
	for name, mistake := range map[string]struct {
		metadata map[string]string // added to a good trigger
		remove   string
		want     []string
	}{
		"unknown-key":        {metadata: map[string]string{"stream": "orders", "consumerGroupp": "billing"}, remove: "list", want: []string{"consumerGroupp", `consumerGroup"`}},
		"unknown-connection": {metadata: map[string]string{"connection": "mian"}, want: []string{"mian"}},
		"foreign-namespace":  {metadata: map[string]string{"connection": "private"}, want: []string{"private", namespace}},
		"bad-value":          {metadata: map[string]string{"target": "many"}, want: []string{"target", "many"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			trigger := s.pushed("mistakes")
			for key, value := range mistake.metadata {
				trigger.Metadata[key] = value
			}
			delete(trigger.Metadata, mistake.remove)
			w, err := workload.New(s.ctx, s.clients, workload.Options{
				Namespace: namespace, Name: name, Triggers: []workload.Trigger{trigger}, PollingInterval: 2 * time.Second,
			})
			check(t, err)
			written := time.Now()
			check(t, process.Poll(s.ctx, "the scaler's words", time.Minute, 200*time.Millisecond, func(ctx context.Context) error {
				return describes(ctx, w, mistake.want)
			}))
			s.within(t, "6 mistakes", name+": from the mistake to the event that explains it", time.Since(written), 30*time.Second)
			object, err := w.ScaledObject(s.ctx)
			check(t, err)
			if ready := object.Status.Conditions.GetReadyCondition(); ready.IsTrue() {
				t.Errorf("the ScaledObject is ready: %s", ready.Message)
			}
			notes, err := w.Events(s.ctx)
			check(t, err)
			t.Logf("%q", notes)
		})
	}
}

// describes fails unless one event or condition of w holds every word.
func describes(ctx context.Context, w *workload.Workload, words []string) error {
	texts, err := w.Events(ctx)
	if err != nil {
		return err
	}
	object, err := w.ScaledObject(ctx)
	if err != nil {
		return err
	}
	for _, c := range object.Status.Conditions {
		texts = append(texts, c.Message)
	}
	for _, text := range texts {
		missing := false
		for _, word := range words {
			missing = missing || !strings.Contains(text, word)
		}
		if !missing {
			return nil
		}
	}
	return fmt.Errorf("no event or condition holds all of %q: %q", words, texts)
}

// dashes makes a name of words.
func dashes(name string) string { return strings.ReplaceAll(name, " ", "-") }
