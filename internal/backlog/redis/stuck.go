package redis

import "time"

// beyondGrace notes whether something is seen now, and returns since when it has been
// and whether that is longer than orphanGrace.
func (l *lasting) beyondGrace(seen bool, now time.Time) (since time.Time, beyond bool) {
	since = l.note(seen, now)
	return since, seen && now.Sub(since) >= orphanGrace
}
