package sampler

import (
	"context"
	"errors"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// observation returns the observation of a watch. The confirmation is loaded before the
// snapshot: a snapshot that is confirmable after that was so at that moment, or was read later.
func (l *connectionLoop) observation(w *watch) *backlog.Observation {
	confirmed := *l.confirmedAt.Load()
	return w.observation(confirmed)
}

// heartbeatDue reports whether it is time to confirm the armed queues.
func (l *connectionLoop) heartbeatDue(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.heartbeatActive && !l.heartbeatRunning && !l.nextHeartbeat.After(now)
}

// startHeartbeat runs a heartbeat. For a Sharded source it does so in a goroutine, because a
// server that does not answer must not delay the reads of the others.
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

// heartbeat asks the source to confirm that no armed queue has changed. If it cannot, all armed
// queues are due at once.
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
