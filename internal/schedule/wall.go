package schedule

import "time"

// wall returns what a clock on the wall of a zone shows at t, as if that were UTC.
func wall(t time.Time, zone *time.Location) time.Time {
	_, offset := t.In(zone).Zone()
	return t.UTC().Add(time.Duration(offset) * time.Second)
}

// moment returns when a clock on the wall of a zone shows a time: its first occurrence if a
// change of the clock repeats it, and the moment of the change if that leaves it out.
//
// In Berlin the clock goes from 02:00 to 03:00 on 28 March 2027, so 02:30 is 01:00 UTC. On 25
// October 2026 it goes from 03:00 back to 02:00, so 02:30 is 00:30 UTC, and not 01:30 UTC.
func moment(shown time.Time, zone *time.Location) time.Time {
	at := time.Date(shown.Year(), shown.Month(), shown.Day(), shown.Hour(), shown.Minute(), shown.Second(), 0, zone)
	// The period of one offset from UTC that at lies in.
	start, end := at.ZoneBounds()
	switch clock := wall(at, zone); {
	case clock.After(shown):
		// Left out. time.Date took the offset from before the change.
		return start.UTC()
	case clock.Before(shown):
		// Left out. time.Date took the offset from after the change.
		return end.UTC()
	}
	if !start.IsZero() {
		_, offset := start.Add(-1).In(zone).Zone()
		if first := shown.Add(-time.Duration(offset) * time.Second); first.Before(start) {
			return first
		}
	}
	return at.UTC()
}
