// Package workload produces and consumes messages as an application would: bursts
// of them on one side, and replicas that work on the other.
package workload

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/backlog-scaler/backlog-scaler/internal/demo/journal"
	"github.com/backlog-scaler/backlog-scaler/internal/hpa"
)

// StartUp is how long a replica takes to start: a small image that the node has.
const StartUp = time.Second

// A Spec describes a workload.
type Spec struct {
	// Name is that of the workload, of its ScaledObject and of its queue.
	Name string
	// Layout is how the queue lies in Redis: list, stream or sortedSet.
	Layout string
	// Target is the number of messages per replica; Max bounds the replicas.
	Target int
	Max    int32
	// Policy is the name of the AutoscalerPolicy that its trigger names; empty for a trigger that names the queue.
	Policy string
	// Work is how long a replica works on one message.
	Work time.Duration
	// Bursts are when messages come.
	Bursts Bursts
}

// Bursts say when messages come: the first burst after First, and one more each
// Every.
type Bursts struct {
	First, Every time.Duration
	// Messages are written evenly over Spread; 0 is at once.
	Messages int
	Spread   time.Duration
	// Delay is how long after they are written they are due.
	Delay time.Duration
	// Rounds is how many bursts there are; 0 is no end.
	Rounds int
}

// Specs are the workloads of the demo, with times divided by speed: a burst on a
// list, a wave of a steady trickle on a stream, jobs that are due later, and a few messages on a list whose
// workload has a policy.
func Specs(speed float64, rounds int) []Spec {
	at := func(d time.Duration) time.Duration { return time.Duration(float64(d) / speed) }
	return []Spec{
		{Name: "emails", Layout: "list", Target: 5, Max: 10, Work: at(time.Second), Bursts: Bursts{
			First: at(4 * time.Second), Every: at(90 * time.Second), Messages: 80, Rounds: rounds,
		}},
		{Name: "orders", Layout: "stream", Target: 5, Max: 10, Work: at(2 * time.Second), Bursts: Bursts{
			First: at(10 * time.Second), Every: at(110 * time.Second), Messages: 90, Spread: at(45 * time.Second), Rounds: rounds,
		}},
		{Name: "reminders", Layout: "sortedSet", Target: 5, Max: 10, Work: at(2 * time.Second), Bursts: Bursts{
			First: at(2 * time.Second), Every: at(100 * time.Second), Messages: 30, Delay: at(20 * time.Second), Rounds: rounds,
		}},
		{Name: "invoices", Layout: "list", Target: 5, Max: 10, Policy: "invoices", Work: at(2 * time.Second), Bursts: Bursts{
			First: at(20 * time.Second), Every: at(120 * time.Second), Messages: 5, Rounds: rounds,
		}},
	}
}

// A Workload is a queue with its source and its replicas.
type Workload struct {
	spec       Spec
	queue      queue
	deployment *Deployment
	log        *journal.Journal
	source     source

	// sent and done count messages: the source and the replicas write, all read.
	sent, done atomic.Int64
	// unreachable is set while the queue cannot be reached, so that it is reported once.
	unreachable atomic.Bool
}

// New makes the queue and returns its Workload, which does nothing until it runs.
func New(ctx context.Context, client *redis.Client, spec Spec, log *journal.Journal) (*Workload, error) {
	q, err := newQueue(ctx, client, spec)
	if err != nil {
		return nil, fmt.Errorf("make the %s %q: %w", spec.Layout, spec.Name, err)
	}
	w := &Workload{spec: spec, queue: q, log: log}
	w.deployment = NewDeployment(StartUp, w.work)
	return w, nil
}

// Metadata returns the metadata of the trigger of the workload's ScaledObject.
func (w *Workload) Metadata(connection string) map[string]string {
	if w.spec.Policy != "" {
		return map[string]string{"policy": w.spec.Policy}
	}
	metadata := map[string]string{
		"connection":  connection,
		w.spec.Layout: w.spec.Name,
		"target":      strconv.Itoa(w.spec.Target),
	}
	maps.Copy(metadata, w.queue.parameters())
	return metadata
}

// Spec is what the workload is.
func (w *Workload) Spec() Spec { return w.spec }

// Scale returns the number of replicas.
func (w *Workload) Scale() hpa.Scale { return w.deployment.Scale() }

// SetReplicas sets the desired number of replicas.
func (w *Workload) SetReplicas(count int32) { w.deployment.SetReplicas(count) }

// Counts returns how many messages were sent and how many are done.
func (w *Workload) Counts() (sent, done int64) { return w.sent.Load(), w.done.Load() }

// Finished reports whether the last burst is over, all messages are done and all replicas have
// ended.
func (w *Workload) Finished() bool {
	sent, done := w.Counts()
	return w.source.over.Load() && done >= sent && w.deployment.Scale().Spec == 0
}

// Run produces and consumes until ctx ends. It returns when all replicas have ended.
func (w *Workload) Run(ctx context.Context) {
	defer w.deployment.Close()
	w.produce(ctx)
	<-ctx.Done()
}

// retryInterval is how long a replica waits when it cannot reach the queue.
const retryInterval = 200 * time.Millisecond

// work is one replica: it takes a message, processes it and acknowledges it. It finishes a
// message that it has taken even when it is stopped.
func (w *Workload) work(number int, stop <-chan struct{}) {
	// Not a context of the demo: an interrupted take could lose a message that the
	// server has already handed out. Every take ends by itself.
	ctx := context.Background()
	c := w.queue.consumer(fmt.Sprintf("%s-%d", w.spec.Name, number))
	for {
		select {
		case <-stop:
			return
		default:
		}
		message, err := c.take(ctx)
		if err == nil && message != "" {
			pause(ctx, w.spec.Work)
			if err = c.ack(ctx, message); err == nil {
				w.done.Add(1)
			}
		}
		if !w.note(err) {
			pause(ctx, retryInterval)
		}
	}
}

// note records in the journal when the queue becomes unreachable, and when it is reachable
// again. It reports whether it is.
func (w *Workload) note(err error) bool {
	switch {
	case err != nil && w.unreachable.CompareAndSwap(false, true):
		w.log.Add(w.spec.Name, "the queue cannot be reached: "+err.Error())
	case err == nil && w.unreachable.CompareAndSwap(true, false):
		w.log.Add(w.spec.Name, "the queue is reached again")
	}
	return err == nil
}
