package redis_test

import (
	"fmt"
	"testing"
	"time"
)

const (
	// dueLateness is the most that may pass between the moment at which a job is due and
	// the moment at which KEDA is told.
	dueLateness = 100 * time.Millisecond
	// dueRounds is how often that is tried, for a busy machine may hold up anybody.
	dueRounds = 3
)

// TestDelayedJobsWakeAtZero: KEDA is told of a delayed job within dueLateness of the
// moment at which it is due, and not before, while there is no worker. It runs before
// the tests that run side by side, for it measures.
func TestDelayedJobsWakeAtZero(t *testing.T) { //nolint:tparallel // the test has the machine to itself
	for name, start := range delayers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := start(t, name)
			s := startScaler(t, d.server)
			for round := range dueRounds {
				queue := fmt.Sprintf("later-%d", round)
				messages := s.stream(t, d.query(queue))
				if m := next(t, messages); m.active {
					t.Fatal("a queue without jobs is active")
				}
				due := d.delay(queue)
				left := time.Until(due)
				m := next(t, messages)
				late := m.at.Sub(due)
				t.Logf("%s %s, round %d: due at %s, KEDA told %s later", d.layout, d.version, round+1, due.Format("15:04:05.000000"), late)
				if !m.active || late < 0 {
					t.Fatalf("KEDA was told active=%t %s before the job was due", m.active, -late)
				}
				// A job that was all but due when it was added proves nothing.
				if late <= dueLateness && left > dueLateness {
					d.prove(columnDue)
					return
				}
			}
			t.Errorf("KEDA was never told within %s", dueLateness)
		})
	}
}
