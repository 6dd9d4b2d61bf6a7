package e2e_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/backlog-scaler/backlog-scaler/e2e/workload"
	"github.com/backlog-scaler/backlog-scaler/internal/bench/figure"
)

// receivingWorkers has a list receive fifty messages a second while a worker waits for each of them, so that the list is empty
// at every look. With hold the worker stays for as long as the list receives, though the cooldown is far shorter.
func (s *suite) receivingWorkers(t *testing.T) {
	const (
		scenario = "receiving"
		queue    = "receiving"
		lasts    = 40 * time.Second
		apart    = time.Second / 50
		hold     = 5 * time.Second
	)
	namespace := s.namespace(t, "receiving")
	trigger := s.pushed(queue)
	trigger.Metadata["hold"] = hold.String()
	w := s.workload(t, workload.Options{
		Namespace: namespace, Name: queue, Triggers: []workload.Trigger{trigger}, PollingInterval: time.Second, Cooldown: 2 * time.Second,
	})
	check(t, s.redis.Push(s.ctx, queue, 1))
	s.reach(t, w, time.Now(), time.Minute, 1)

	ctx, stop := context.WithCancel(s.ctx)
	var worker sync.WaitGroup
	taken := 0
	worker.Go(func() {
		for ctx.Err() == nil {
			err := s.redis.Client().BLPop(ctx, time.Second, queue).Err()
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
		check(t, s.redis.Push(s.ctx, queue, 1))
		select {
		case <-ticker.C:
		case <-s.ctx.Done():
			t.Fatal(context.Cause(s.ctx))
		}
		left, err := s.redis.Client().LLen(s.ctx, queue).Result()
		check(t, err)
		seen += int(left)
		looks++
	}
	ticker.Stop()
	ended := time.Now()
	stop()
	worker.Wait()
	if least := w.Least(began); least < 1 {
		t.Errorf("the worker was scaled away while the list received: %v", w.Since(began))
	}
	if taken < looks/2 || seen > looks/10 {
		t.Errorf("the worker took %d of %d messages, and %d were left at looks: the list was not drained at every look", taken, looks, seen)
	}
	s.note(t, figure.Figure{Name: "receiving_messages", Value: float64(taken), Unit: "messages"})
	s.within(t, scenario, "from last message to zero", s.reach(t, w, ended, time.Minute, 0), 20*time.Second)
}
