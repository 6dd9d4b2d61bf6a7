package layout

import "time"

// StuckGrace is for how long work that a worker might move has to lie alone in a queue
// before it is orphaned. Such work keeps its trigger active, so by then a worker has been
// started and would have moved it, if it were one that does.
const StuckGrace = 5 * time.Minute

// A Streak is since when something has been seen without a break. Its zero value has seen
// nothing.
type Streak struct{ Since time.Time }

// Note returns since when seen has been true in each call; zero if it is not now.
func (l *Streak) Note(seen bool, now time.Time) time.Time {
	switch {
	case !seen:
		l.Since = time.Time{}
	case l.Since.IsZero():
		l.Since = now
	}
	return l.Since
}

// Beyond notes whether something is seen now, and returns since when it has been without
// a break and whether that is longer than grace.
func (l *Streak) Beyond(grace time.Duration, seen bool, now time.Time) (since time.Time, long bool) {
	since = l.Note(seen, now)
	return since, seen && now.Sub(since) >= grace
}
