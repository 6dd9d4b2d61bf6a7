package redis

import "time"

// stuckGrace is for how long work that a worker might move has to lie alone in a queue
// before it is orphaned. Such work keeps its trigger active, so by then a worker has been
// started and would have moved it, if it were one that does.
const stuckGrace = 5 * time.Minute

// A lasting is since when something has been seen without a break. Its zero value has seen
// nothing.
type lasting struct{ since time.Time }

// note returns since when seen has been true in each call; zero if it is not now.
func (l *lasting) note(seen bool, now time.Time) time.Time {
	switch {
	case !seen:
		l.since = time.Time{}
	case l.since.IsZero():
		l.since = now
	}
	return l.since
}

// beyond notes whether something is seen now, and returns since when it has been without
// a break and whether that is longer than grace.
func (l *lasting) beyond(grace time.Duration, seen bool, now time.Time) (since time.Time, long bool) {
	since = l.note(seen, now)
	return since, seen && now.Sub(since) >= grace
}
