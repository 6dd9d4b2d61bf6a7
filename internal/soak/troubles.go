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

// disturbs reports whether readings at a moment may suffer, if all takes longer than
// usual by extra.
func (t *trouble) disturbs(at time.Time, extra time.Duration) bool {
	during := func(from, to time.Time) bool {
		return !at.Before(from) && (to.IsZero() || at.Before(to.Add(t.fault.Settle+extra)))
	}
	if !t.fault.Lasting {
		return during(t.began, t.ended)
	}
	return during(t.began, t.caused) || !t.ending.IsZero() && during(t.ending, t.ended)
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

// calm reports whether no fault disturbs a queue of a topology at a moment. Faults of the
// scaler itself disturb all.
func (ts *troubles) calm(topology string, q *stage.Queue, at time.Time, extra time.Duration) bool {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	return !slices.ContainsFunc(ts.all, func(t *trouble) bool {
		return (t.topology == topology || t.topology == scalerTopology) && t.disturbs(at, extra) && (q == nil || t.hits == nil || t.hits(q))
	})
}

// raised reports whether a fault lets what was known before count at a moment.
func (ts *troubles) raised(topology string, at time.Time, extra time.Duration) bool {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	return slices.ContainsFunc(ts.all, func(t *trouble) bool {
		return t.topology == topology && t.fault.Replaces && !at.Before(t.began) &&
			(t.ended.IsZero() || at.Before(t.ended.Add(t.fault.Settle+maxStaleness+extra)))
	})
}

// over reports whether no fault is in force.
func (ts *troubles) over() bool {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	return !slices.ContainsFunc(ts.all, func(t *trouble) bool { return t.ended.IsZero() })
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
