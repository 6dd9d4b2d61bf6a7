package sampler

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// run is the loop: it sleeps until something is due and reads it.
func (l *link) run(ctx context.Context, source backlog.Source) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.poke:
		case <-timer.C:
		}
		for ctx.Err() == nil {
			now := time.Now()
			l.beat.Store(now.UnixNano())
			if l.shouldConfirm(now) {
				l.startConfirm(ctx, source)
				continue
			}
			batch, next := l.take(now)
			if len(batch) == 0 {
				timer.Reset(time.Until(next))
				break
			}
			if sharded, is := source.(backlog.Sharded); is {
				l.spread(ctx, sharded, batch)
				continue
			}
			l.read(ctx, source.Read, batch)
		}
	}
}

// maxBatch is how many queues are read at a time: more would keep a wake-up waiting.
const maxBatch = 5000

// take returns what is due, and when to look again if that is nothing.
func (l *link) take(now time.Time) (batch []*watch, next time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	next = now.Add(heartbeat)
	if l.retry.After(now) {
		if l.retry.Before(next) {
			next = l.retry
		}
		return nil, next
	}
	for _, w := range l.schedule.takeDue(now, maxBatch) {
		if l.expired(w, now) {
			l.drop(w)
			continue
		}
		w.read, w.changed = now, ""
		batch = append(batch, w)
	}
	if len(l.schedule) > 0 && l.schedule[0].due.Before(next) {
		next = l.schedule[0].due
	}
	if l.trusting && !l.confirming && l.check.Before(next) {
		next = l.check
	}
	return batch, next
}

// expired tells whether nobody wants w any more. mu is held.
func (l *link) expired(w *watch, now time.Time) bool {
	return len(w.subscribers) == 0 && now.Sub(time.Unix(0, w.asked.Load())) > l.options.WatchTTL
}

// read reads a batch by a function of the source and takes in the results.
func (l *link) read(ctx context.Context, read readFunc, batch []*watch) {
	queries := make([]backlog.Query, len(batch))
	for i, w := range batch {
		queries[i] = w.query
	}
	began := time.Now()
	bounded, cancel := context.WithTimeout(ctx, l.options.ReadTimeout)
	results := readContained(bounded, read, queries)
	cancel()
	now := time.Now()
	if ctx.Err() != nil {
		// Stopped in the middle: errors of these results say nothing of the engine.
		for i := range results {
			if results[i].Err != nil {
				l.putBack(batch[i], now)
				continue
			}
			l.absorb(batch[i:i+1], results[i:i+1], now)
		}
		return
	}
	l.meter.observeRead(len(batch), now.Sub(began), results)
	l.absorb(batch, results, now)
}

// putBack schedules a watch whose read did not happen.
func (l *link) putBack(w *watch, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !w.gone.Load() {
		l.schedule.set(w, now, w.cause)
	}
}

// absorb takes in the results of a batch and schedules the next reads.
func (l *link) absorb(batch []*watch, results []backlog.Result, now time.Time) {
	idlePoll := l.options.IdlePoll
	if named := l.source.Load().Status().IdlePoll; named > 0 {
		idlePoll = named
	}
	for i, w := range batch {
		w.query.Conceal(&results[i])
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.countFailures(batch, results)
	backoff := l.backoff()
	l.retry = time.Time{}
	if len(l.failing) == len(l.watches) {
		l.retry = now.Add(backoff)
	}
	for i, w := range batch {
		if w.gone.Load() {
			continue
		}
		if until := w.made.Add(l.options.FirstReading); w.pends(results[i], until, now) {
			l.schedule.set(w, earlier(until, l.tick(now, l.options.ActiveInterval)), backlog.CauseFirst)
			if w.changed != "" {
				l.hasten(w, w.changed)
			}
			continue
		}
		if text, hint := w.warning(results[i], now); text != "" {
			l.logger.Warn("queue read with a warning", "layout", w.query.Layout, "queue", w.query.ShownQueue(), "warning", text, "hint", hint)
		}
		if w.absorb(results[i], *l.confirmed.Load(), now) {
			for _, sub := range w.subscribers {
				sub.notify()
			}
		}
		next, cause := l.nextRead(w, results[i], now, backoff, idlePoll)
		l.schedule.set(w, next, cause)
		if w.changed != "" && w.eager(now) {
			l.hasten(w, w.changed)
		}
	}
}

// countFailures notes which watches find the engine unavailable. mu is held.
func (l *link) countFailures(batch []*watch, results []backlog.Result) {
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
func (l *link) backoff() time.Duration {
	wait := l.options.MinBackoff << min(max(l.failures-1, 0), 16)
	wait = min(wait, l.options.MaxBackoff)
	return time.Duration(float64(wait) * (0.8 + 0.4*rand.Float64())) //nolint:gosec // jitter is no secret
}

// nextRead says when to read a queue again after result, and why. mu is held.
func (l *link) nextRead(w *watch, result backlog.Result, now time.Time, backoff, idlePoll time.Duration) (time.Time, backlog.Cause) {
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
	case result.Armed && w.used(now):
		return l.noLaterThan(result.Reading.NextDue, l.tick(now, l.options.ActiveInterval), now)
	case result.Armed:
		return l.noLaterThan(result.Reading.NextDue, l.rest(w, now), now)
	default:
		return l.noLaterThan(result.Reading.NextDue, l.tick(now, idlePoll), now)
	}
}

// noLaterThan returns regular, or nextDue if that is set and comes before. Where
// the engine's clock is behind ours, what is due does not count as due yet: then
// WakeInterval keeps the reads apart.
func (l *link) noLaterThan(nextDue, regular, now time.Time) (time.Time, backlog.Cause) {
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
func (l *link) tick(now time.Time, interval time.Duration) time.Time {
	return now.Add(-l.phase).Truncate(interval).Add(l.phase + interval)
}
