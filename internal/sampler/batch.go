package sampler

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// run is the loop: it sleeps until something is due and reads it.
func (l *connectionLoop) run(ctx context.Context, source backlog.Source) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.wakeups:
		case <-timer.C:
		}
		for ctx.Err() == nil {
			now := time.Now()
			l.lastProgress.Store(now.UnixNano())
			if l.heartbeatDue(now) {
				l.startHeartbeat(ctx, source)
				continue
			}
			batch, next := l.nextBatch(now)
			if len(batch) == 0 {
				timer.Reset(time.Until(next))
				break
			}
			if sharded, is := source.(backlog.Sharded); is {
				l.readShards(ctx, sharded, batch)
				continue
			}
			l.read(ctx, source.Read, batch)
		}
	}
}

// maxBatch is how many queues are read at a time: more would keep a wake-up waiting.
const maxBatch = 5000

// take returns what is due, and when to look again if that is nothing.
func (l *connectionLoop) nextBatch(now time.Time) (batch []*watch, next time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	next = now.Add(maxSleep)
	if l.retryAt.After(now) {
		if l.retryAt.Before(next) {
			next = l.retryAt
		}
		return nil, next
	}
	for _, w := range l.schedule.takeDue(now, maxBatch) {
		if l.expired(w, now) {
			l.remove(w)
			continue
		}
		w.lastRead, w.pendingCause = now, ""
		batch = append(batch, w)
	}
	if len(l.schedule) > 0 && l.schedule[0].due.Before(next) {
		next = l.schedule[0].due
	}
	if l.heartbeatActive && !l.heartbeatRunning && l.nextHeartbeat.Before(next) {
		next = l.nextHeartbeat
	}
	return batch, next
}

// expired tells whether nobody wants w any more. mu is held.
func (l *connectionLoop) expired(w *watch, now time.Time) bool {
	return len(w.subscribers) == 0 && now.Sub(time.Unix(0, w.lastRequest.Load())) > l.options.WatchTTL
}

// read reads a batch by a function of the source and takes in the results.
func (l *connectionLoop) read(ctx context.Context, read readFunc, batch []*watch) {
	queries := make([]backlog.Query, len(batch))
	for i, w := range batch {
		queries[i] = w.query
	}
	began := time.Now()
	bounded, cancel := context.WithTimeout(ctx, l.options.ReadTimeout)
	results := readRecovering(bounded, read, queries)
	cancel()
	now := time.Now()
	if ctx.Err() != nil {
		// Stopped in the middle: errors of these results say nothing of the engine.
		for i := range results {
			if results[i].Err != nil {
				l.requeue(batch[i], now)
				continue
			}
			l.apply(batch[i:i+1], results[i:i+1], now)
		}
		return
	}
	l.meter.observeRead(len(batch), now.Sub(began), results)
	l.apply(batch, results, now)
}

// putBack schedules a watch whose read did not happen.
func (l *connectionLoop) requeue(w *watch, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !w.removed.Load() {
		l.schedule.set(w, now, w.cause)
	}
}

// absorb takes in the results of a batch and schedules the next reads.
func (l *connectionLoop) apply(batch []*watch, results []backlog.Result, now time.Time) {
	idlePoll := l.options.IdlePoll
	if named := l.source.Load().Status().IdlePoll; named > 0 {
		idlePoll = named
	}
	for i, w := range batch {
		w.query.Conceal(&results[i])
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.recordFailures(batch, results)
	backoff := l.backoff()
	l.retryAt = time.Time{}
	if len(l.failing) == len(l.watches) {
		l.retryAt = now.Add(backoff)
	}
	for i, w := range batch {
		if w.removed.Load() {
			continue
		}
		if until := w.created.Add(l.options.FirstReading); w.awaitsFirstReading(results[i], until, now) {
			l.schedule.set(w, earlier(until, l.tick(now, l.options.ActiveInterval)), backlog.CauseFirst)
			if w.pendingCause != "" {
				l.rescheduleSooner(w, w.pendingCause)
			}
			continue
		}
		if text, hint := w.newWarning(results[i], now); text != "" {
			l.logger.Warn("queue read with a warning", "layout", w.query.Layout, "queue", w.query.ShownQueue(), "warning", text, "hint", hint)
		}
		if w.apply(results[i], *l.confirmedAt.Load(), now) {
			for _, sub := range w.subscribers {
				sub.notify()
			}
		}
		next, cause := l.nextRead(w, results[i], now, backoff, idlePoll)
		l.schedule.set(w, next, cause)
		if w.pendingCause != "" && w.readsPromptly(now) {
			l.rescheduleSooner(w, w.pendingCause)
		}
	}
}

// countFailures notes which watches find the engine unavailable. mu is held.
func (l *connectionLoop) recordFailures(batch []*watch, results []backlog.Result) {
	wasFailing := len(l.failing) > 0
	unavailable := 0
	var cause error
	for i, w := range batch {
		switch {
		case isPending(results[i]):
			// It is no news of the engine, neither good nor bad.
		case isUnavailable(results[i].Err):
			l.failing[w] = struct{}{}
			cause = results[i].Err
			unavailable++
		default:
			delete(l.failing, w)
		}
	}
	switch {
	case len(l.failing) == 0:
		l.failures = 0
		if wasFailing {
			l.logger.Info("connection recovered")
		}
	case unavailable > 0:
		l.failures++
		if !wasFailing {
			l.logger.Warn("connection fails", "queues", unavailable, "error", cause)
		}
	}
}

// isPending reports whether a queue is not known only because the source has not looked for
// it yet. The engine is as it is.
func isPending(result backlog.Result) bool { return result.Pending && result.Err != nil }

// earlier returns the earlier one of two moments.
func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// isUnavailable tells errors that concern the engine from those that concern one
// queue.
func isUnavailable(err error) bool {
	return err != nil && !errors.Is(err, backlog.ErrDenied) && !errors.Is(err, backlog.ErrMismatch) && !errors.Is(err, backlog.ErrExhausted)
}

// backoff is how long to wait after the batches that failed so far: doubling,
// with a jitter of a fifth either way. mu is held.
func (l *connectionLoop) backoff() time.Duration {
	wait := l.options.MinBackoff << min(max(l.failures-1, 0), 16)
	wait = min(wait, l.options.MaxBackoff)
	return time.Duration(float64(wait) * (0.8 + 0.4*rand.Float64())) //nolint:gosec // jitter is no secret
}

// nextRead says when to read a queue again after result, and why. mu is held.
func (l *connectionLoop) nextRead(w *watch, result backlog.Result, now time.Time, backoff, idlePoll time.Duration) (time.Time, backlog.Cause) {
	switch {
	case isPending(result):
		// The wake-up that is to come is sooner.
		return l.tick(now, l.options.ActiveInterval), backlog.CauseRetry
	case isUnavailable(result.Err):
		return now.Add(backoff), backlog.CauseRetry
	case result.Err != nil:
		return l.tick(now, l.options.SafetyInterval), backlog.CauseRetry
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

// noLaterThan returns regular, or nextDue if that is set and comes before. Where
// the engine's clock is behind ours, what is due does not count as due yet: then
// WakeInterval keeps the reads apart.
func (l *connectionLoop) noLaterThan(nextDue, regular, now time.Time) (time.Time, backlog.Cause) {
	if nextDue.IsZero() || !nextDue.Before(regular) {
		return regular, backlog.CausePoll
	}
	if soonest := now.Add(l.options.WakeInterval); nextDue.Before(soonest) {
		return soonest, backlog.CauseDue
	}
	return nextDue, backlog.CauseDue
}

// tick returns the next moment of a fixed beat of interval, so that all queues of
// one interval fall due together, in one batch.
func (l *connectionLoop) tick(now time.Time, interval time.Duration) time.Time {
	return now.Add(-l.phase).Truncate(interval).Add(l.phase + interval)
}
