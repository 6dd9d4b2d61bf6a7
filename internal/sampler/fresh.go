package sampler

import (
	"context"
	"fmt"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// callInterval is the least time between two reads of a queue that calls ask for, so that calls do not
// decide how much a server is asked. KEDA polls a ScaledJob once a second at most.
const callInterval = 250 * time.Millisecond

// observeFresh returns the observation after a read that begins after the call. All calls that come
// before the read begins share it. The error is that of ctx.
func (l *connectionLoop) observeFresh(ctx context.Context, w *watch) (*backlog.Observation, error) {
	timer := time.NewTimer(l.options.FirstReading)
	defer timer.Stop()
	select {
	case <-l.awaitRead(w):
		return l.observation(w), nil
	case <-timer.C:
		err := fmt.Errorf("no answer within %s: %w", l.options.FirstReading, backlog.ErrUnavailable)
		return &backlog.Observation{Err: err, FailingSince: time.Now()}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// awaitRead makes a queue due, and returns a channel that is closed after a read of it that has not
// begun yet, or when the queue is no longer read.
func (l *connectionLoop) awaitRead(w *watch) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	done := make(chan struct{})
	if w.removed.Load() {
		close(done)
		return done
	}
	w.nextFresh = append(w.nextFresh, done)
	l.rescheduleSooner(w, backlog.CauseCall)
	l.wakeLoop()
	return done
}

// beginRead notes that a read begins at now: it covers what changed before, and the calls that wait get
// its reading. The loop's mu is held.
func (w *watch) beginRead(now time.Time) {
	w.lastRead, w.pendingCause = now, ""
	w.fresh, w.nextFresh = append(w.fresh, w.nextFresh...), nil
}

// endFresh ends the wait of the calls whose read has ended. The loop's mu is held.
func (w *watch) endFresh() {
	for _, done := range w.fresh {
		close(done)
	}
	w.fresh = nil
}

// repeatFresh makes the calls whose read had no result wait for the next one. The loop's mu is held.
func (w *watch) repeatFresh() { w.fresh, w.nextFresh = nil, append(w.fresh, w.nextFresh...) }
