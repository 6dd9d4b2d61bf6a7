package e2e_test

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/e2e/scaler"
	"github.com/backlog-scaler/backlog-scaler/e2e/workload"
	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
)

// mistakes makes ScaledObjects that cannot work: the scaler's own words must be where their author looks, which is the
// events of "kubectl describe scaledobject", and the ScaledObject must not be ready. (KEDA writes the text of the Ready
// condition itself; a scaler's words never get there.) Corrected in place, each works without further help.
func (s *suite) mistakes(t *testing.T) {
	const scenario = "mistakes"
	namespace := s.namespace(t, "mistakes")
	for name, mistake := range map[string]struct {
		metadata map[string]string // added to a good trigger
		remove   string
		want     []string
	}{
		"unknown-key":        {metadata: map[string]string{"stream": "orders", "consumerGroupp": "billing"}, remove: "list", want: []string{"consumerGroupp", `consumerGroup"`}},
		"unknown-connection": {metadata: map[string]string{"connection": "mian"}, want: []string{"mian", "main"}},
		"foreign-namespace":  {metadata: map[string]string{"connection": "private"}, want: []string{"private", namespace}},
		"bad-value":          {metadata: map[string]string{"target": "many"}, want: []string{"target", "many"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			good, trigger := s.pushed("mistakes-"+name), s.pushed("mistakes-"+name)
			maps.Copy(trigger.Metadata, mistake.metadata)
			delete(trigger.Metadata, mistake.remove)
			w, err := workload.New(s.ctx, s.stage.Clients, workload.Options{
				Namespace: namespace, Name: name, Triggers: []workload.Trigger{trigger}, PollingInterval: 2 * time.Second,
			})
			check(t, err)
			s.took(t, scenario, name+" from mistake to event", s.explained(t, w, mistake.want...))

			check(t, w.SetTriggers(s.ctx, good))
			check(t, w.WaitReady(s.ctx, time.Minute))
			written := time.Now()
			check(t, s.redis.Push(s.ctx, "mistakes-"+name, 10))
			s.reach(t, w, written, time.Minute, 2)
		})
	}
	t.Run("connection that comes later", func(t *testing.T) {
		t.Parallel()
		own := s.startScaler(t, scaler.Options{Name: "scaler-later", Connections: map[string]scaler.Connection{
			"main": s.connection(s.redis, "*"),
		}})
		w, err := workload.New(s.ctx, s.stage.Clients, workload.Options{
			Namespace: namespace, Name: "later", PollingInterval: 2 * time.Second,
			Triggers: []workload.Trigger{s.pushedBy(own.Address(), "later", "mistakes-later")},
		})
		check(t, err)
		s.explained(t, w, "later")
		written := time.Now()
		check(t, own.Configure(map[string]scaler.Connection{
			"main": s.connection(s.redis, "*"), "later": s.connection(s.redis, namespace),
		}))
		check(t, s.redis.Push(s.ctx, "mistakes-later", 10))
		s.took(t, scenario, "from new configuration to 2 replicas", s.reach(t, w, written, 2*time.Minute, 2))
	})
}

// explained waits until an event of w holds every word and w is not ready, and returns how long the event took.
func (s *suite) explained(t *testing.T, w *workload.Workload, words ...string) time.Duration {
	t.Helper()
	made := time.Now()
	check(t, childprocess.Poll(s.ctx, "the scaler's words", time.Minute, 200*time.Millisecond, func(ctx context.Context) error {
		notes, err := w.Events(ctx)
		if err != nil {
			return err
		}
		for _, note := range notes {
			if holds(note, words) {
				t.Log(note)
				return nil
			}
		}
		object, err := w.ScaledObject(ctx)
		if err != nil {
			return err
		}
		return fmt.Errorf("no event holds all of %q: %q; ready: %s", words, notes, object.Status.Conditions.GetReadyCondition().Message)
	}))
	took := time.Since(made)
	check(t, childprocess.Poll(s.ctx, "the condition", time.Minute, 200*time.Millisecond, func(ctx context.Context) error {
		object, err := w.ScaledObject(ctx)
		if err != nil {
			return err
		}
		ready := object.Status.Conditions.GetReadyCondition()
		if !ready.IsFalse() {
			return fmt.Errorf("the ScaledObject is ready: %s", ready.Message)
		}
		return nil
	}))
	return took
}

func holds(text string, words []string) bool {
	for _, word := range words {
		if !strings.Contains(text, word) {
			return false
		}
	}
	return true
}
