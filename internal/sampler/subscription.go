package sampler

import (
	"sync/atomic"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// A Subscription keeps a queue read until it is closed.
type Subscription struct {
	loop  *connectionLoop
	watch *watch
	// changed has room for one: several changes are one notification. It is nil where notifies is
	// set, which is called in its place.
	changed  chan struct{}
	notifies func()
	// interval is the time between two reads of a measured number; zero is that of the connection.
	interval time.Duration
	// waiting reports whether the subscriber waits for work. The subscriber writes it, the
	// goroutines of the loop read it.
	waiting atomic.Bool
}

// Changed delivers after the observation has changed. It is never closed; nil after Notify.
func (s *Subscription) Changed() <-chan struct{} { return s.changed }

// Observation returns the present observation. Before the first reading its Known is false and
// its Err is nil.
func (s *Subscription) Observation() backlog.Observation {
	return *s.loop.observation(s.watch)
}

// SetWaiting sets whether the subscriber waits for work. While one does, a change is read at
// once. Otherwise the regular reads are soon enough.
func (s *Subscription) SetWaiting(waiting bool) { s.waiting.Store(waiting) }

// Gone reports whether the connection was removed, so that nothing is read any more.
func (s *Subscription) Gone() bool { return s.watch.removed.Load() }

// Close ends the subscription. It is idempotent.
func (s *Subscription) Close() { s.loop.unsubscribe(s) }

// notify notifies the subscriber without waiting for it.
func (s *Subscription) notify() {
	if s.notifies != nil {
		s.notifies()
		return
	}
	select {
	case s.changed <- struct{}{}:
	default:
	}
}
