package sampler

import (
	"context"
	"errors"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// trusted is how many safety intervals an idle queue is not read where it is confirmed
// in each of them, and for how many it is read first, at the start and after a change.
const idleReadEvery = 6

// rest returns when to read a queue again that is idle and armed. mu is held.
//
// Where the source confirms what is armed, a sixth of the queues is read in each safety
// interval: what a broker and the scaler do for an idle queue hardly depends on how many
// there are, and a wake-up that was lost all the same is made good within a minute. Not
// so in the minute after a change was heard of or the queue was read first: what a worker has just
// taken may be told of where nothing is armed, such as by its next heartbeat. Most
// often it is told of milliseconds later, by the worker's next command.
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

// known returns what is known of a watch, or nothing. What is confirmed is got first:
// what stands after that did so at that moment, or was read later.
func (l *connectionLoop) observation(w *watch) backlog.Observation {
	confirmed := *l.confirmedAt.Load()
	return w.observation(confirmed)
}

// shouldConfirm tells whether it is time to confirm what is armed.
func (l *connectionLoop) heartbeatDue(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.heartbeatActive && !l.heartbeatRunning && !l.nextHeartbeat.After(now)
}

// startConfirm confirms what is armed. Where servers do not wait for each other, nothing
// else waits for it either.
func (l *connectionLoop) startHeartbeat(ctx context.Context, source backlog.Source) {
	if _, sharded := source.(backlog.Sharded); !sharded {
		l.heartbeat(ctx, source)
		return
	}
	l.mu.Lock()
	l.heartbeatRunning = true
	l.mu.Unlock()
	l.goroutines.Go(func() {
		l.heartbeat(ctx, source)
		l.mu.Lock()
		l.heartbeatRunning = false
		l.mu.Unlock()
		l.wakeLoop()
	})
}

// confirm asks the source whether what is armed is as it was read. If that cannot be
// said, all of it is read.
func (l *connectionLoop) heartbeat(ctx context.Context, source backlog.Source) {
	bounded, cancel := context.WithTimeout(ctx, l.options.ReadTimeout)
	until, err := confirmRecovering(bounded, source.(backlog.Confirmer)) //nolint:errcheck // rest trusts nothing else
	cancel()
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.nextHeartbeat = l.tick(now, l.options.SafetyInterval)
	if err == nil {
		l.confirmedAt.Store(&until)
		l.meter.confirmations.Inc()
		return
	}
	concerned := func(backlog.Query) bool { return true }
	var partly *backlog.PartlyConfirmedError
	if errors.As(err, &partly) && ctx.Err() == nil {
		concerned = partly.Unconfirmed
	} else {
		// Until a read shows that there is something to trust.
		l.heartbeatActive = false
	}
	if ctx.Err() != nil {
		return
	}
	cause := backlog.CauseEverything
	if errors.Is(err, errors.ErrUnsupported) {
		cause = backlog.CausePoll
	}
	for _, w := range l.watches {
		if !concerned(w.query) {
			continue
		}
		if partly != nil {
			w.invalidate(*l.confirmedAt.Load())
		}
		if seen := w.snapshot.Load(); seen != nil && seen.Armed && w.heapIndex >= 0 && w.due.After(now) {
			l.schedule.set(w, now, cause)
		}
	}
	if partly != nil {
		l.confirmedAt.Store(&until)
		l.meter.confirmations.Inc()
	}
}
