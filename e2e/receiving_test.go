package e2e_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/backlog-scaler/backlog-scaler/bench/measurement"
	"github.com/backlog-scaler/backlog-scaler/e2e/workload"
)

// receivingWorkers has a stream receive fifty messages a second while a worker waits for each of them, so that nothing is left
// at any look. The last entry that the group was served is evidence of work that passed, so with hold the worker stays for as
// long as the stream receives, though the cooldown is far shorter.
func (s *suite) receivingWorkers(t *testing.T) {
	const (
		scenario = "receiving"
		queue    = "receiving"
		group    = "workers"
		lasts    = 40 * time.Second
		apart    = time.Second / 50
		hold     = 5 * time.Second
	)
	namespace := s.namespace(t, "receiving")
	trigger := s.pushed(queue)
	delete(trigger.Metadata, "list")
	trigger.Metadata["stream"], trigger.Metadata["consumerGroup"] = queue, group
	trigger.Metadata["hold"] = hold.String()
	client := s.redis.Client()
	push := func() error {
		return client.XAdd(s.ctx, &redis.XAddArgs{Stream: queue, MaxLen: 1000, Approx: true, Values: []any{"body", "x"}}).Err()
	}
	check(t, client.XGroupCreateMkStream(s.ctx, queue, group, "0").Err())
	w := s.workload(t, workload.Options{
		Namespace: namespace, Name: queue, Triggers: []workload.Trigger{trigger}, PollingInterval: time.Second, Cooldown: 2 * time.Second,
	})
	check(t, push())
	s.reach(t, w, time.Now(), time.Minute, 1)

	ctx, stop := context.WithCancel(s.ctx)
	var worker sync.WaitGroup
	taken := 0
	worker.Go(func() {
		for ctx.Err() == nil {
			err := client.XReadGroup(ctx, &redis.XReadGroupArgs{Group: group, Consumer: "worker", Streams: []string{queue, ">"}, Count: 1, Block: time.Second, NoAck: true}).Err()
			switch {
			case err == nil:
				taken++
			case !errors.Is(err, redis.Nil) && ctx.Err() == nil:
				t.Errorf("take a message: %v", err)
				return
			}
		}
	})
	began, seen, looks := time.Now(), 0, 0
	ticker := time.NewTicker(apart)
	for time.Since(began) < lasts {
		check(t, push())
		select {
		case <-ticker.C:
		case <-s.ctx.Done():
			t.Fatal(context.Cause(s.ctx))
		}
		groups, err := client.XInfoGroups(s.ctx, queue).Result()
		check(t, err)
		seen += int(groups[0].Lag)
		looks++
	}
	ticker.Stop()
	ended := time.Now()
	stop()
	worker.Wait()
	if least := w.Least(began); least < 1 {
		t.Errorf("the worker was scaled away while the stream received: %v", w.Since(began))
	}
	if taken < looks/2 || seen > looks/10 {
		t.Errorf("the worker took %d of %d messages, and %d were left at looks: the stream was not drained at every read", taken, looks, seen)
	}
	s.note(t, measurement.Measurement{Name: "receiving_messages", Value: float64(taken), Unit: "messages"})
	s.took(t, scenario, "from last message to zero", s.reach(t, w, ended, time.Minute, 0))
}
