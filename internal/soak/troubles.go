package soak

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/soak/plan"
	"github.com/backlog-scaler/backlog-scaler/internal/soak/stage"
)

// A trouble is a fault of the run.
type trouble struct {
	fault    plan.Fault
	topology string
	text     string
	hits     func(*stage.Queue) bool
	// began is when it began to be caused, caused when it was in force, ending when it
	// began to be ended, and ended when all servers worked again; zero is not yet.
	began, caused, ending, ended time.Time
}

// A span is a time in which readings may suffer. Without an end it lasts.
type span struct{ from, to time.Time }

func (s span) has(at time.Time) bool {
	return !at.Before(s.from) && (s.to.IsZero() || at.Before(s.to))
}

// spans are the times in which readings may suffer. What settles takes longer by what the
// machine lost meanwhile.
func (t *trouble) spans(lost func(from, to time.Time) time.Duration) []span {
	until := func(at time.Time) time.Time {
		if at.IsZero() {
			return at
		}
		settled := at.Add(t.fault.Settle)
		// What is lost while it waits for what was lost counts too.
		for range 3 {
			settled = at.Add(t.fault.Settle + lost(at, settled))
		}
		return settled
	}
	if !t.fault.Lasting {
		return []span{{t.began, until(t.ended)}}
	}
	all := []span{{t.began, until(t.caused)}}
	if !t.ending.IsZero() {
		all = append(all, span{t.ending, until(t.ended)})
	}
	return all
}

// troubles are the faults of a run, in order. It is safe for concurrent use.
type troubles struct {
	mu  sync.Mutex
	all []*trouble
}

// begin notes that a fault is about to be caused.
func (ts *troubles) begin(t *trouble, at time.Time) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	t.began = at
	ts.all = append(ts.all, t)
}

// note changes a trouble.
func (ts *troubles) note(change func()) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	change()
}

// disturbed returns since when faults have disturbed a queue without a break; false if none
// does at the moment. Faults of the scaler itself disturb all queues.
func (ts *troubles) disturbed(topology string, q *stage.Queue, at time.Time, lost func(from, to time.Time) time.Duration) (since time.Time, is bool) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	since = at
	for again := true; again; {
		again = false
		for _, t := range ts.all {
			if t.topology != topology && t.topology != scalerTopology || t.hits != nil && !t.hits(q) {
				continue
			}
			for _, s := range t.spans(lost) {
				if s.has(since) && (s.from.Before(since) || !is) {
					since, is, again = s.from, true, true
				}
			}
		}
	}
	return since, is
}

// raised reports whether a fault lets what was known before count at a moment.
func (ts *troubles) raised(topology string, at time.Time, lost func(from, to time.Time) time.Duration) bool {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	return slices.ContainsFunc(ts.all, func(t *trouble) bool {
		if t.topology != topology || !t.fault.Replaces || at.Before(t.began) {
			return false
		}
		return t.ended.IsZero() || at.Before(t.ended.Add(t.fault.Settle+maxStaleness+lost(t.ended, at)))
	})
}

// last returns the name of the last fault of a topology before a moment.
func (ts *troubles) last(topology string) string {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	for _, t := range slices.Backward(ts.all) {
		if t.topology == topology || t.topology == scalerTopology {
			return t.fault.Name
		}
	}
	return "no fault yet"
}

// text lists the last n faults, with offsets from zero.
func (ts *troubles) lines(n int, zero time.Time) string {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	var b strings.Builder
	for _, t := range ts.all[max(0, len(ts.all)-n):] {
		until := "now"
		if !t.ended.IsZero() {
			until = fmt.Sprintf("%.3fs", t.ended.Sub(zero).Seconds())
		}
		fmt.Fprintf(&b, "%9.3fs  to %s: %s: %s %s\n", t.began.Sub(zero).Seconds(), until, t.topology, t.fault.Name, t.text)
	}
	return b.String()
}

// forget forgets what ended before a moment.
func (ts *troubles) forget(before time.Time) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	ts.all = slices.DeleteFunc(ts.all, func(t *trouble) bool { return !t.ended.IsZero() && t.ended.Before(before) })
}
