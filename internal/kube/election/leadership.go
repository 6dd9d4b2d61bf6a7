package election

import (
	"sync/atomic"
	"time"
)

// A Leadership says whether this replica writes. It is safe for concurrent use.
type Leadership struct {
	now func() time.Time
	// always reports that there is no Lease.
	always bool
	// base is when the leadership was made. Times are counted from it, so that they follow the
	// monotonic clock: a step of the wall clock makes no term longer.
	base time.Time
	// until is the end of the time for which this replica leads, in nanoseconds since base.
	until atomic.Int64
	term  atomic.Uint64
	begun chan struct{}
}

// NewLeadership makes the leadership of a replica that does not lead yet; of the only replica, which
// always does, if always is set.
func NewLeadership(now func() time.Time, always bool) *Leadership {
	return &Leadership{now: now, always: always, base: now(), begun: make(chan struct{}, 1)}
}

// Leads reports whether this replica writes at present.
func (l *Leadership) Leads() bool {
	return l.always || int64(l.now().Sub(l.base)) < l.until.Load()
}

// Term counts the times at which this replica began to lead.
func (l *Leadership) Term() uint64 { return l.term.Load() }

// Begun delivers a value when this replica begins to lead. It has one receiver.
func (l *Leadership) Begun() <-chan struct{} { return l.begun }

// renewed notes that the Lease was renewed by a request that began at a time.
func (l *Leadership) renewed(began time.Time) {
	before := l.Leads()
	l.until.Store(int64(began.Add(RenewDeadline).Sub(l.base)))
	if before {
		return
	}
	l.term.Add(1)
	select {
	case l.begun <- struct{}{}:
	default:
	}
}

// released notes that another replica may lead.
func (l *Leadership) released() { l.until.Store(0) }
