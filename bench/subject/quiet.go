package subject

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/backlog-scaler/backlog-scaler/bench/measurement"
	"github.com/backlog-scaler/backlog-scaler/bench/redisserver"
)

const (
	// quietCalls and quietWakes are how often the quiet namespace calls and is woken.
	quietCalls, quietWakes = 5 * time.Millisecond, 40 * time.Millisecond
	// quietPatience bounds a call and a wake-up. What takes longer, or fails, counts as long.
	quietPatience = 5 * time.Second
)

// A quiet is a namespace with little to do.
type quiet struct {
	scaler *side
	redis  *redisserver.Server
	all    objects
	// states deliver what the StreamIsActive of each object says; closed when it ends.
	states []chan bool
	// idle are the objects whose queues are empty and known to be.
	idle      chan int
	listening sync.WaitGroup
}

// newQuiet opens the streams of the namespace, until ctx ends.
func newQuiet(ctx context.Context, scaler *side, r *redisserver.Server) (*quiet, error) {
	q := &quiet{scaler: scaler, redis: r, all: newObjects(quietTriggers), idle: make(chan int, quietTriggers)}
	for _, ref := range q.all.refs {
		ref.Namespace = "quiet"
	}
	streams, err := hold(ctx, scaler, q.all)
	if err != nil {
		return nil, err
	}
	for i, stream := range streams {
		states := make(chan bool, 16)
		q.states = append(q.states, states)
		q.idle <- i
		q.listening.Go(func() {
			defer close(states)
			for {
				reply, err := stream.Recv()
				if err != nil {
					return
				}
				select {
				case states <- reply.GetResult():
				case <-ctx.Done():
					return
				}
			}
		})
	}
	return q, nil
}

// wait waits until the streams have ended.
func (q *quiet) wait() { q.listening.Wait() }

// look calls and wakes at fixed times, whether or not the ones before have ended, for d.
func (q *quiet) look(ctx context.Context, d time.Duration) (measurement.Outlook, error) {
	o := measurement.NewOutlook(int(d/time.Second) + 1)
	began := time.Now()
	// mu guards o.
	var mu sync.Mutex
	var running sync.WaitGroup
	add := func(to [][]float64, do func() time.Duration) {
		second := min(int(time.Since(began)/time.Second), len(to)-1)
		running.Go(func() {
			took := milliseconds(do())
			mu.Lock()
			defer mu.Unlock()
			to[second] = append(to[second], took)
		})
	}
	calling, waking := time.NewTicker(quietCalls), time.NewTicker(quietWakes)
	defer calling.Stop()
	defer waking.Stop()
	end := time.After(d)
	for n := 0; ; {
		select {
		case <-calling.C:
			c, ref := calls()[n%2], q.all.refs[n/2%quietTriggers]
			n++
			add(o.Calls, func() time.Duration {
				return q.timed(ctx, func(ctx context.Context) error { return c.do(ctx, q.scaler, ref) })
			})
		case <-waking.C:
			select {
			case i := <-q.idle:
				add(o.Wakes, func() time.Duration { return q.wake(ctx, i) })
			default: // all are being woken
			}
		case <-end:
			running.Wait()
			calls, wakes := slices.Concat(o.Calls...), slices.Concat(o.Wakes...)
			if len(calls) == 0 || len(wakes) == 0 {
				return o, fmt.Errorf("look at the quiet namespace: %d calls, %d wake-ups", len(calls), len(wakes))
			}
			return o, ctx.Err()
		case <-ctx.Done():
			running.Wait()
			return o, ctx.Err()
		}
	}
}

// timed is how long do takes; quietPatience if it fails.
func (q *quiet) timed(ctx context.Context, do func(context.Context) error) time.Duration {
	ctx, cancel := context.WithTimeout(ctx, quietPatience)
	defer cancel()
	began := time.Now()
	if err := do(ctx); err != nil {
		return quietPatience
	}
	return time.Since(began)
}

// wake writes a message into an idle queue, returns how long it takes until its stream says
// active, and empties the queue again. An object whose stream ends is not woken again.
func (q *quiet) wake(ctx context.Context, i int) time.Duration {
	list := q.all.lists[i]
	took := q.timed(ctx, func(ctx context.Context) error {
		if err := q.redis.Client.RPush(ctx, list, "x").Err(); err != nil {
			return fmt.Errorf("write %s: %w", list, err)
		}
		return q.become(ctx, i, true)
	})
	q.listening.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, quietPatience)
		defer cancel()
		if q.redis.Client.Del(ctx, list).Err() == nil && q.become(ctx, i, false) == nil {
			q.idle <- i
		}
	})
	return took
}

// become waits until the stream of an object says active or not, as wanted.
func (q *quiet) become(ctx context.Context, i int, active bool) error {
	for {
		select {
		case state, open := <-q.states[i]:
			switch {
			case !open:
				return fmt.Errorf("the stream of %s has ended", q.all.lists[i])
			case state == active:
				return nil
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
