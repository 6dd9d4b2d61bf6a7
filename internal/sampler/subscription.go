package sampler

import (
	"sync/atomic"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// A Subscription holds a queue for as long as somebody listens.
type Subscription struct {
	loop  *connectionLoop
	watch *watch
	// changed has room for one: several changes are one news.
	changed chan struct{}
	// waiting says that the subscriber waits for work to come; written by the
	// subscriber, read by the link's loop.
	waiting atomic.Bool
}

// Changed delivers after something new is known. It is never closed.
func (s *Subscription) Changed() <-chan struct{} { return s.changed }

// Observation is what is known now. Before the first reading nothing is: its
// Known is false and its Err is nil.
func (s *Subscription) Observation() backlog.Observation {
	return s.loop.observation(s.watch)
}

// SetWaiting says whether the subscriber waits for work to come. While one does,
// a change is read at once; else the regular reads are soon enough.
func (s *Subscription) SetWaiting(waiting bool) { s.waiting.Store(waiting) }

// Gone tells whether the connection was removed, so that nothing will be read
// any more.
func (s *Subscription) Gone() bool { return s.watch.removed.Load() }

// Close lets the queue go. It is idempotent.
func (s *Subscription) Close() { s.loop.unsubscribe(s) }

// notify tells the subscriber without ever waiting for it.
func (s *Subscription) notify() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}
