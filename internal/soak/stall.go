package soak

import (
	"context"
	"slices"
	"sync"
	"time"
)

// stallTick is how often the machine is looked at, and stallNoise by how much a timer may
// be late on one that is not busy.
const stallTick, stallNoise = 5 * time.Millisecond, 20 * time.Millisecond

// stallFactor is by how much more than its own lag an answer may be late: servers and the
// scaler are as late as the soak itself, one after the other.
const stallFactor = 2

// A stalls measures by how much timers are late, because the machine is busy. Bounds are
// extended by that. It is safe for concurrent use.
type stalls struct {
	mu sync.Mutex
	// late are the moments until which a timer was late, in order.
	late []stall
}

// A stall is a moment until which a timer was late, and by how much timers were late in
// all until then.
type stall struct {
	at  time.Time
	sum time.Duration
}

// run measures until ctx ends.
func (s *stalls) run(ctx context.Context) {
	timer := time.NewTicker(stallTick)
	defer timer.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		now := time.Now()
		if lag := now.Sub(last) - stallTick; lag > stallNoise {
			s.note(now, lag)
		}
		last = now
	}
}

func (s *stalls) note(at time.Time, lag time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.late) > 20_000 {
		s.late = slices.Clone(s.late[10_000:])
	}
	s.late = append(s.late, stall{at, s.until(len(s.late)) + lag})
}

// until returns the sum before the place n. mu is held.
func (s *stalls) until(n int) time.Duration {
	if n == 0 {
		return 0
	}
	return s.late[n-1].sum
}

// lost returns by how much timers were late between two moments.
func (s *stalls) lost(from, to time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	place := func(t time.Time) int {
		n, _ := slices.BinarySearchFunc(s.late, t, func(l stall, t time.Time) int { return l.at.Compare(t) })
		return n
	}
	// The one that was late at the end counts as a whole.
	return s.until(min(place(to)+1, len(s.late))) - s.until(place(from))
}

// sum is by how much timers were late in all.
func (s *stalls) sum() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.until(len(s.late))
}
