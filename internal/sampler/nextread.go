package sampler

import (
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// nextRead returns when to read a queue again after result, and why. mu is held.
func (l *connectionLoop) nextRead(w *watch, result backlog.Result, now time.Time, backoff, idlePoll time.Duration) (time.Time, backlog.Cause) {
	pacer, paced := l.source.Load().Source.(backlog.Pacer)
	switch {
	case paced && result.Err == nil:
		return now.Add(pacer.Pause(w.query)), backlog.CausePoll
	case paced && (isPending(result) || !isUnavailable(result.Err)):
		return now.Add(pacer.Pause(w.query)), backlog.CauseRetry
	case isPending(result):
		// The wake-up at the end of the search comes sooner.
		return l.tick(now, l.options.ActiveInterval), backlog.CauseRetry
	case isUnavailable(result.Err):
		return now.Add(backoff), backlog.CauseRetry
	case result.Err != nil:
		return l.tick(now, l.options.SafetyInterval), backlog.CauseRetry
	case result.Reading.Measured.Known || w.query.Workers:
		// Whatever it is, it is no work that waits.
		return l.tick(now, w.interval(idlePoll, l.options.WatchTTL, now)), backlog.CausePoll
	case result.Reading.Backlog() > 0:
		return l.tick(now, l.options.ActiveInterval), backlog.CausePoll
	case result.Armed && w.recentlyChanged(now):
		return l.noLaterThan(result.Reading.NextDue, l.tick(now, l.options.ActiveInterval), now)
	case result.Armed:
		return l.noLaterThan(result.Reading.NextDue, l.nextIdleRead(w, now), now)
	default:
		return l.noLaterThan(result.Reading.NextDue, l.tick(now, idlePoll), now)
	}
}

// noLaterThan returns regular, or nextDue if that is set and earlier. Where the engine's clock
// is behind, due work is not reported as due yet. WakeInterval then keeps the reads apart.
func (l *connectionLoop) noLaterThan(nextDue, regular, now time.Time) (time.Time, backlog.Cause) {
	if nextDue.IsZero() || !nextDue.Before(regular) {
		return regular, backlog.CausePoll
	}
	if soonest := now.Add(l.options.WakeInterval); nextDue.Before(soonest) {
		return soonest, backlog.CauseDue
	}
	return nextDue, backlog.CauseDue
}

// idleReadEvery is the number of safety intervals between two reads of a confirmed idle queue.
// A queue is read in each of that many intervals first: at the start and after a change.
const idleReadEvery = 6

// nextIdleRead returns when to read a queue again that is idle and armed. mu is held.
//
// Where the source confirms armed queues, a sixth of them is read in each safety interval. So
// the cost of an idle queue hardly depends on how many there are, and a lost wake-up is made
// good within a minute.
//
// In the minute after a change or the first read the queue is read in every safety interval.
// Work that a worker has just taken may show in a key that is not armed, such as its next
// heartbeat. Most often it shows milliseconds later, with the next command of the worker, so a
// queue is also read once within a second of a change.
func (l *connectionLoop) nextIdleRead(w *watch, now time.Time) time.Time {
	if now.Sub(w.lastChange) < l.options.ActiveInterval {
		return l.tick(now, l.options.ActiveInterval)
	}
	if _, confirms := l.source.Load().Source.(backlog.Confirmer); !confirms {
		return l.tick(now, l.options.SafetyInterval)
	}
	if !l.heartbeatActive {
		l.heartbeatActive, l.nextHeartbeat = true, l.tick(now, l.options.SafetyInterval)
	}
	lately := w.lastChange
	if seen := w.snapshot.Load(); seen != nil && seen.Since.After(lately) {
		lately = seen.Since
	}
	if now.Sub(lately) < idleReadEvery*l.options.SafetyInterval {
		return l.tick(now, l.options.SafetyInterval)
	}
	turn := time.Duration(w.id%idleReadEvery) * l.options.SafetyInterval
	return l.tick(now.Add(-turn), idleReadEvery*l.options.SafetyInterval).Add(turn)
}

// tick returns the next multiple of interval, shifted by phase. So all queues of one interval
// fall due together, in one batch.
func (l *connectionLoop) tick(now time.Time, interval time.Duration) time.Time {
	return now.Add(-l.phase).Truncate(interval).Add(l.phase + interval)
}

// earlier returns the earlier of two times.
func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
