package simulation

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/policy"
)

// A replica is one pod.
type replica struct {
	number   int
	ready    bool
	stopping bool
	gone     bool
	// since is when it began to take messages.
	since time.Duration
	// working are the messages that it works on.
	working []int32
}

// A fleet is the queue and the replicas that serve it.
type fleet struct {
	workers  *Workers
	messages []message
	events   *events
	random   *rand.Rand
	tally    *tally

	// waiting are the messages of the queue in their order. requeued come before them.
	waiting, requeued queue
	// replicas are those that are not stopping, the oldest first.
	replicas []*replica
	// free are the replicas that wait for a message, once for each that they can take; the one that
	// waits for longest is the first, as with the blocking commands of a broker.
	free []*replica
	// inFlight is the number of messages that are worked on, and available the number of ready
	// replicas.
	inFlight, available int
	// arrived and done are the counters of an engine.
	arrived, done int64
	created       int
	// stopped is the number of replicas that are stopping.
	stopped int
	// idleFirst reports that idle replicas are deleted before busy ones.
	idleFirst bool
}

// A queue of messages, by their index.
type queue struct {
	items []int32
	first int
}

func (q *queue) push(i int32) { q.items = append(q.items, i) }
func (q *queue) len() int     { return len(q.items) - q.first }

// pop removes the first message. There has to be one.
func (q *queue) pop() int32 {
	i := q.items[q.first]
	q.first++
	if q.first > 1024 && 2*q.first > len(q.items) {
		q.items = append(q.items[:0], q.items[q.first:]...)
		q.first = 0
	}
	return i
}

// length returns the number of messages that wait.
func (f *fleet) length() int { return f.waiting.len() + f.requeued.len() }

// oldest returns when the first message that waits arrived; false if none waits.
func (f *fleet) oldest() (time.Duration, bool) {
	switch {
	case f.requeued.len() > 0:
		return f.messages[f.requeued.items[f.requeued.first]].at, true
	case f.waiting.len() > 0:
		return f.messages[f.waiting.items[f.waiting.first]].at, true
	default:
		return 0, false
	}
}

// arrive adds a message to the queue.
func (f *fleet) arrive(now time.Duration, i int32) {
	f.arrived++
	f.waiting.push(i)
	f.serve(now)
}

// serve hands out messages while there are both messages and replicas that are free.
func (f *fleet) serve(now time.Duration) {
	for f.length() > 0 && len(f.free) > 0 {
		r := f.free[0]
		f.free = f.free[1:]
		if !r.stopping {
			f.take(now, r)
		}
	}
}

// take has a replica take the next message.
func (f *fleet) take(now time.Duration, r *replica) {
	from := &f.waiting
	if f.requeued.len() > 0 {
		from = &f.requeued
	}
	i := from.pop()
	r.working = append(r.working, i)
	f.inFlight++
	f.tally.taken(i, now)
	f.events.add(event{at: now + scale(f.messages[i].work, f.slowness(now-r.since)), kind: finished, replica: r, message: i})
}

// slowness returns how many times as long work takes at an age of a replica: twice at its start, 4/3 after
// half of the warm-up, and once after it.
func (f *fleet) slowness(age time.Duration) float64 {
	if age >= f.workers.WarmUp {
		return 1
	}
	return 2 / (1 + age.Seconds()/f.workers.WarmUp.Seconds())
}

// finish ends the work on a message.
func (f *fleet) finish(now time.Duration, r *replica, i int32) {
	if r.gone {
		return
	}
	r.working = slices.DeleteFunc(r.working, func(other int32) bool { return other == i })
	f.inFlight--
	f.done++
	f.tally.worked(i, now)
	switch {
	case r.stopping:
		if len(r.working) == 0 {
			r.gone = true
			f.stopped--
		}
	case f.length() > 0:
		f.take(now, r)
	default:
		f.free = append(f.free, r)
	}
}

// start makes a replica ready.
func (f *fleet) start(now time.Duration, r *replica) {
	if r.stopping {
		return
	}
	r.ready, r.since = true, now
	f.available++
	for range f.workers.Concurrency {
		f.free = append(f.free, r)
	}
	f.serve(now)
}

// scale sets the number of replicas.
func (f *fleet) scale(now time.Duration, replicas int32) {
	for len(f.replicas) < int(replicas) {
		f.created++
		r := &replica{number: f.created}
		f.replicas = append(f.replicas, r)
		startup := f.workers.Startup.draw(f.random)
		cold, share := f.workers.Cold.draw(f.random), f.random.Float64()
		if share < f.workers.ColdShare {
			startup += cold
		}
		f.events.add(event{at: now + startup, kind: ready, replica: r})
	}
	for len(f.replicas) > int(max(replicas, 0)) {
		f.stop(now, f.victim())
	}
}

// victim returns the index of the replica that is deleted next: one that is not ready, else, where
// deletion costs say so, an idle one, else the youngest:
// https://github.com/kubernetes/kubernetes/blob/v1.36.0/pkg/controller/controller_utils.go#L843
func (f *fleet) victim() int {
	last := len(f.replicas) - 1
	for i := last; i >= 0; i-- {
		if !f.replicas[i].ready {
			return i
		}
	}
	for i := last; i >= 0 && f.idleFirst; i-- {
		if len(f.replicas[i].working) == 0 {
			return i
		}
	}
	return last
}

// stop sends a replica the signal to end. It takes no further message.
func (f *fleet) stop(now time.Duration, i int) {
	r := f.replicas[i]
	f.replicas = slices.Delete(f.replicas, i, i+1)
	r.stopping = true
	if r.ready {
		f.available--
	}
	f.free = slices.DeleteFunc(f.free, func(other *replica) bool { return other == r })
	if len(r.working) == 0 {
		r.gone = true
		return
	}
	f.stopped++
	f.events.add(event{at: now + f.workers.Grace, kind: killed, replica: r})
}

// kill ends a replica whose grace period is over. What it worked on is queued again, before the
// other messages.
func (f *fleet) kill(now time.Duration, r *replica) {
	if r.gone {
		return
	}
	r.gone = true
	f.stopped--
	f.tally.killed += len(r.working)
	f.tally.killedPods++
	f.inFlight -= len(r.working)
	for _, i := range r.working {
		f.requeued.push(i)
		f.tally.took[i] = -1
	}
	r.working = nil
	f.serve(now)
}

// pods returns the replicas as a policy that spares busy ones sees them.
func (f *fleet) pods() policy.Pods {
	pods := policy.Pods{Known: true, All: make([]policy.Pod, 0, len(f.replicas))}
	for _, r := range f.replicas {
		pod := policy.Pod{Busy: len(r.working) > 0, Scheduled: true, Running: r.ready, Ready: r.ready}
		if pod.Busy {
			pod.DeletionCost = busyCost
		}
		pods.All = append(pods.All, pod)
	}
	return pods
}

// busyCost is the deletion cost of a busy pod: any that is more than that of idle ones.
const busyCost = 1
