package sampler

import (
	"sync/atomic"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// A watch is one queue that is read, however many ask for it.
type watch struct {
	query backlog.Query

	// seen is what is known; nil before the first read ended. Written by the link's
	// loop, read by everyone.
	seen atomic.Pointer[backlog.Observation]
	// first is closed when seen is set for the first time, or the watch is gone.
	first chan struct{}
	// asked is when a call asked last, in nanoseconds since 1970.
	asked atomic.Int64
	// gone is set when the watch is dropped; nothing is read any more.
	gone atomic.Bool

	// The fields below are guarded by the link's mu.

	subscribers map[*Subscription]struct{}
	// window is how far back somebody wants to see.
	window time.Duration
	// due is when to read next; position is where in the schedule that stands, and
	// -1 while a read is under way.
	due      time.Time
	position int
	// cause is why it is due, or why it is being read.
	cause backlog.Cause
	// read is when the last read began.
	read time.Time
	// changed notes what came while a read was under way and asks for another.
	changed backlog.Cause
}

// known returns what is known, or nothing.
func (w *watch) known() backlog.Observation {
	if seen := w.seen.Load(); seen != nil {
		return *seen
	}
	return backlog.Observation{}
}

// eager tells whether a change should be read at once: nothing waits there, or
// somebody waits for more.
func (w *watch) eager() bool {
	seen := w.known()
	if !seen.Known() || seen.Err != nil || seen.Latest.Ready+seen.Latest.Due == 0 {
		return true
	}
	for sub := range w.subscribers {
		if sub.waiting.Load() {
			return true
		}
	}
	return false
}

// absorb makes the result of a read what is known, and tells whether that is news.
func (w *watch) absorb(result backlog.Result, now time.Time) bool {
	before := w.known()
	after := before
	after.Armed = result.Armed
	after.Last = backlog.Look{At: now, Cause: w.cause}
	if result.Err != nil {
		after.Err = result.Err
		if before.Err == nil {
			after.FailingSince = now
		}
	} else {
		after.Err, after.FailingSince = nil, time.Time{}
		after.Latest = result.Reading
		after.Past = w.remember(before, result.Reading)
		if before.Latest.Backlog() == 0 && result.Reading.Backlog() > 0 {
			after.Woke = after.Last
		}
	}
	news := w.seen.Swap(&after) == nil
	if news {
		close(w.first)
	}
	return news || backlog.Reason(before.Err) != backlog.Reason(after.Err) || !sameCounts(before.Latest, after.Latest)
}

// remember returns the past of a new reading: what is still within the window,
// and the reading that it replaces unless that says the same. Observations share
// the array behind it: appending writes only beyond what was ever published.
func (w *watch) remember(before backlog.Observation, latest backlog.Reading) []backlog.Reading {
	past := before.Past
	for len(past) > 0 && latest.At.Sub(past[0].At) > w.window {
		past = past[1:]
	}
	if before.Known() && w.window > 0 && !sameCounts(before.Latest, latest) {
		past = append(past, before.Latest)
	}
	return past
}

// sameCounts tells whether two readings differ in nothing that a decision sees.
func sameCounts(a, b backlog.Reading) bool {
	return a.Ready == b.Ready && a.Due == b.Due && a.InFlight == b.InFlight &&
		a.Missing == b.Missing && a.Paused == b.Paused && a.MaxUseful == b.MaxUseful && a.Epoch == b.Epoch
}
