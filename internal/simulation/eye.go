package simulation

import (
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/decision"
)

// The pace of the scaler's reads, as in docs/design.md: a queue with work each second, an idle one
// when it is noticed to have changed, and otherwise each ten seconds.
const (
	busyInterval = time.Second
	idleInterval = 10 * time.Second
)

// An eye observes the queue for one trigger or signal, as the sampler of the scaler does.
type eye struct {
	queue *Queue
	seen  backlog.Observation
	// due is when the next read is.
	due time.Duration
}

// read takes a reading. It returns the time until the next one.
func (e *eye) read(f *fleet, at time.Time) time.Duration {
	before := e.seen.Latest
	r := e.reading(f, at)
	known := e.seen.Known()
	e.seen.Latest, e.seen.Last = r, backlog.ReadAttempt{At: at, Cause: backlog.CausePoll}
	if !known {
		e.seen.Since = at
		return e.interval(at)
	}
	counted := before.Enqueued != r.Enqueued
	if counted || before.Dequeued != r.Dequeued {
		e.seen.LastTraffic = at
	}
	if before.Ready != r.Ready || before.InFlight != r.InFlight {
		e.seen.LastChange = at
	} else if !counted || !e.queue.Spec.Counters() {
		return e.interval(at)
	}
	e.seen.Past = append(e.seen.Past, before)
	for len(e.seen.Past) > 0 && at.Sub(e.seen.Past[0].At) > e.queue.Window {
		e.seen.Past = e.seen.Past[1:]
	}
	return e.interval(at)
}

// atWork reports whether the trigger is active for certain, without a decision: there is work, and any
// of it is enough.
func (e *eye) atWork() bool {
	spec := &e.queue.Spec
	return spec.Activation == 0 && (spec.Count == 0 || spec.Count == decision.CountAll) && e.seen.Latest.Backlog() > 0
}

// interval returns the time until the next read.
func (e *eye) interval(at time.Time) time.Duration {
	inUse := !e.seen.LastChange.IsZero() && at.Sub(e.seen.LastChange) < e.queue.Spec.InUse()
	if e.seen.Latest.Backlog() > 0 || inUse {
		return busyInterval
	}
	return idleInterval
}

// reading returns what the engine answers.
func (e *eye) reading(f *fleet, at time.Time) backlog.Reading {
	r := backlog.Reading{At: at, Ready: int64(f.length())}
	held := int64(f.inFlight)
	if e.queue.HeldIsReady {
		r.Ready += held
	} else if !e.queue.Hidden {
		r.InFlight = backlog.Exactly(held)
	}
	if e.queue.Counter {
		r.Enqueued, r.Dequeued = backlog.Exactly(f.arrived), backlog.Exactly(f.done)
	}
	if oldest, waits := f.oldest(); waits && e.queue.Oldest {
		r.Oldest = backlog.Age{Since: at.Add(oldest - f.tally.now), Kind: backlog.AgeExact}
	}
	return r
}
