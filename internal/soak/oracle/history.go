// Package oracle knows what a queue truly holds at each moment, from the writes to it
// alone. It never reads as the scaler does.
package oracle

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A History is what a queue held, as bounds over time: the two differ while a write is
// under way, and from a write whose answer was lost until the queue is emptied. It is safe
// for concurrent use.
//
// Worked: 3 messages, and one more is written from 10:00:00.0 to 10:00:00.2. Before, the
// bounds are 3 and 3, within 3 and 4, and after 4 and 4. If the answer is lost they stay 3
// and 4.
type History struct {
	// mu guards what follows: one goroutine writes, and those that check read.
	mu     sync.Mutex
	points []point
	extras []*Extra
	lost   bool
}

// A point is the bounds from a moment on, without the extras.
type point struct {
	at     time.Time
	lo, hi int64
}

// An Extra is what counts from some moment on, such as a delayed message from when it is
// due.
type Extra struct {
	// It begins to count between from and to. It ends to count after endFrom and before
	// endTo; zero is not yet.
	from, to, endFrom, endTo time.Time
	lo, hi                   int64
}

// at returns what the extra adds at the moment t.
func (e *Extra) at(t time.Time) (lo, hi int64) {
	if !t.Before(e.to) && (e.endFrom.IsZero() || t.Before(e.endFrom)) {
		lo = e.lo
	}
	if !t.Before(e.from) && (e.endTo.IsZero() || t.Before(e.endTo)) {
		hi = e.hi
	}
	return lo, hi
}

// New returns the history of a queue that is empty.
func New(at time.Time) *History { return &History{points: []point{{at: at}}} }

// A Change is a write that is under way.
type Change struct {
	history  *History
	down, up int64
}

// Begin notes a write that may change the count by between -down and +up while it is
// under way.
func (h *History) Begin(at time.Time, down, up int64) Change {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.move(at, -down, up)
	return Change{h, down, up}
}

// Done notes that the write was answered and changed the count by delta.
func (c Change) Done(at time.Time, delta int64) {
	c.history.mu.Lock()
	defer c.history.mu.Unlock()
	c.history.move(at, delta+c.down, delta-c.up)
}

// Lost notes that it is not known whether the write happened, or ever will.
func (c Change) Lost() {
	c.history.mu.Lock()
	defer c.history.mu.Unlock()
	c.history.lost = true
}

// Lost reports whether the answer to a write was lost since the queue was emptied last.
func (h *History) Lost() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.lost
}

// Later notes a message that will be due, give or take the tolerance. Until it is
// confirmed it may not be there.
func (h *History) Later(due time.Time, tolerance time.Duration) *Extra {
	return h.extra(&Extra{from: due.Add(-tolerance), to: due.Add(tolerance), hi: 1})
}

// Confirm notes that the message of an Extra is there.
func (h *History) Confirm(e *Extra) {
	h.mu.Lock()
	defer h.mu.Unlock()
	e.lo = e.hi
}

// Allow lets the count be higher by up to n between two moments, as documented for
// layouts that are not exact then.
func (h *History) Allow(from, until time.Time, n int64) {
	h.extra(&Extra{from: from, to: until, endFrom: until, endTo: until, hi: n})
}

func (h *History) extra(e *Extra) *Extra {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.extras = append(h.extras, e)
	return e
}

// Empty notes that the queue is being emptied. The returned function notes that it is
// empty.
func (h *History) Empty(at time.Time) (done func(at time.Time)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	last := h.points[len(h.points)-1]
	h.points = append(h.points, point{at, min(0, last.lo), max(0, last.hi)})
	emptied := slices.Clone(h.extras)
	for _, e := range emptied {
		if e.endFrom.IsZero() {
			e.endFrom = at
		}
	}
	return func(at time.Time) {
		h.mu.Lock()
		defer h.mu.Unlock()
		for _, e := range emptied {
			if e.endTo.IsZero() {
				e.endTo = at
			}
		}
		h.points = append(h.points, point{at: at})
		h.lost = false
	}
}

// move adds to the bounds from a moment on. mu is held.
func (h *History) move(at time.Time, lo, hi int64) {
	last := h.points[len(h.points)-1]
	h.points = append(h.points, point{at, last.lo + lo, last.hi + hi})
}

// Bounds returns the least and the most that the queue held at any moment from one to
// another, both included.
func (h *History) Bounds(from, to time.Time) (lo, hi int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	first := true
	for _, t := range h.moments(from, to) {
		l, m := h.at(t)
		if first || l < lo {
			lo = l
		}
		if first || m > hi {
			hi = m
		}
		first = false
	}
	return max(0, lo), max(0, hi)
}

// at returns the bounds of a moment. mu is held.
func (h *History) at(t time.Time) (lo, hi int64) {
	next := h.after(t)
	p := h.points[max(0, next-1)]
	lo, hi = p.lo, p.hi
	for _, e := range h.extras {
		l, m := e.at(t)
		lo, hi = lo+l, hi+m
	}
	return lo, hi
}

// after returns the place of the first point after t. mu is held.
func (h *History) after(t time.Time) int {
	place, _ := slices.BinarySearchFunc(h.points, t, func(p point, t time.Time) int {
		if p.at.After(t) {
			return 1
		}
		return -1
	})
	return place
}

// moments returns from, and each moment until to at which a bound changes, in order. mu
// is held.
func (h *History) moments(from, to time.Time) []time.Time {
	all := []time.Time{from}
	add := func(t time.Time) {
		if t.After(from) && !t.After(to) {
			all = append(all, t)
		}
	}
	for _, p := range h.points[h.after(from):] {
		if p.at.After(to) {
			break
		}
		add(p.at)
	}
	for _, e := range h.extras {
		add(e.from)
		add(e.to)
		add(e.endFrom)
		add(e.endTo)
	}
	slices.SortFunc(all, time.Time.Compare)
	return slices.CompactFunc(all, time.Time.Equal)
}

// Forget forgets what was before a moment. Bounds are not known before it then.
func (h *History) Forget(before time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.points = slices.Delete(h.points, 0, max(0, h.after(before)-1))
	h.extras = slices.DeleteFunc(h.extras, func(e *Extra) bool {
		if e.endTo.IsZero() && e.endFrom.IsZero() && e.to.Before(before) && e.lo == e.hi {
			// It counts in all that is left.
			for i := range h.points {
				h.points[i].lo += e.lo
				h.points[i].hi += e.hi
			}
			return true
		}
		return !e.endTo.IsZero() && e.endTo.Before(before)
	})
}

// Text lists what the queue held between two moments, a line for each change, with
// offsets from zero.
func (h *History) Text(from, to, zero time.Time) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var b strings.Builder
	for _, t := range h.moments(from, to) {
		lo, hi := h.at(t)
		held := strconv.FormatInt(max(0, lo), 10)
		if lo != hi {
			held = fmt.Sprintf("%d to %d", max(0, lo), max(0, hi))
		}
		fmt.Fprintf(&b, "%9.3fs  %s\n", t.Sub(zero).Seconds(), held)
	}
	return b.String()
}
