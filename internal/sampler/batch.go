package sampler

import (
	"context"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// run is the loop: it sleeps until something is due and reads it.
func (l *connectionLoop) run(ctx context.Context, source backlog.Source) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	reader := batchReader{read: source.Read}
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
			l.read(ctx, &reader, batch)
		}
	}
}

// maxBatch is the largest number of queues in one read. A larger batch would delay wake-ups and the
// queues of other tenants.
const maxBatch = 1000

// nextBatch returns the watches that are due, or when the loop has to look again if there are
// none.
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
		w.beginRead(now)
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

// expired reports whether w was not requested within WatchTTL. mu is held.
func (l *connectionLoop) expired(w *watch, now time.Time) bool {
	return len(w.subscribers) == 0 && now.Sub(time.Unix(0, w.lastRequest.Load())) > l.options.WatchTTL
}

// A batchReader reads the batches of one goroutine, each into the memory of the one before.
type batchReader struct {
	read    readFunc
	queries []backlog.Query
	results []backlog.Result
}

// read reads a batch and applies the results.
func (l *connectionLoop) read(ctx context.Context, reader *batchReader, batch []*watch) {
	reader.queries = reader.queries[:0]
	for _, w := range batch {
		reader.queries = append(reader.queries, w.query)
	}
	began := time.Now()
	bounded, cancel := context.WithTimeout(ctx, l.options.ReadTimeout)
	reader.results = readRecovering(bounded, reader.read, reader.queries, reader.results[:0])
	results := reader.results
	cancel()
	now := time.Now()
	if ctx.Err() != nil {
		// Stopped during the read: its errors say nothing about the engine.
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
	l.contacted(now, now.Sub(began), results)
	l.apply(batch, results, now)
}

// requeue makes a watch due again whose read did not happen.
func (l *connectionLoop) requeue(w *watch, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !w.removed.Load() {
		w.repeatFresh()
		l.schedule.set(w, now, w.cause)
	}
}

// apply applies the results of a batch and schedules the next reads.
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
			w.repeatFresh()
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
		w.endFresh()
		next, cause := l.nextRead(w, results[i], now, backoff, idlePoll)
		l.schedule.set(w, next, cause)
		if w.pendingCause != "" && (len(w.nextFresh) > 0 || w.readsPromptly(now)) {
			l.rescheduleSooner(w, w.pendingCause)
		}
	}
}
