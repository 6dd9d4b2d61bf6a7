package soak

import (
	"context"
	"sync"
	"time"
)

// stallTick is how often the machine is looked at, and stallNoise by how much a timer may
// be late on one that is not busy.
const stallTick, stallNoise = 5 * time.Millisecond, 20 * time.Millisecond

// stallFactor is by how much more than its own lag the program waits for others: servers
// and the scaler are as late as itself, one after the other.
const stallFactor = 4

// A stalls measures by how much timers are late, because the machine is busy. Bounds are
// extended by that. It is safe for concurrent use.
type stalls struct {
	mu sync.Mutex
	// late are moments, and by how much a timer was late then.
	late  []stall
	total time.Duration
}

type stall struct {
	at  time.Time
	lag time.Duration
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
			s.mu.Lock()
			s.late = append(s.late, stall{now, lag})
			s.total += lag
			if len(s.late) > 10_000 {
				s.late = append([]stall(nil), s.late[5_000:]...)
			}
			s.mu.Unlock()
		}
		last = now
	}
}

// within returns by how much bounds are extended because of what was late between two
// moments.
func (s *stalls) within(from, to time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	var sum time.Duration
	for i := len(s.late) - 1; i >= 0 && !s.late[i].at.Before(from); i-- {
		if !s.late[i].at.Add(-s.late[i].lag).After(to) {
			sum += s.late[i].lag
		}
	}
	return stallFactor * sum
}

// sum is by how much timers were late in all.
func (s *stalls) sum() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total
}
