package redis_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

const (
	// dueLateness is the most that may pass between the moment at which a job is due and
	// the moment at which KEDA is told.
	dueLateness = 100 * time.Millisecond
	// dueRounds is how often that is tried, because a busy machine may be late in each.
	dueRounds = 20
	// dueStrays is how many late rounds may have seen the job by another read than the one
	// at its moment: a regular read that the machine held up until then.
	dueStrays = 2
)

// TestDelayedJobsWakeAtZero: KEDA is told of a delayed job within dueLateness of the
// moment at which it is due, and not before, while there is no worker. It runs before
// the tests that run side by side, because it measures. In a round in which the machine is
// late, it is the read at that moment all the same that finds the job.
func TestDelayedJobsWakeAtZero(t *testing.T) { //nolint:tparallel // the test has the machine to itself
	for name, start := range delayers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := start(t, name)
			s := startScaler(t, d.server)
			strays := 0
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
					matched(t, d.server, d.query(queue))
					return
				}
				if cause := s.wokenBy(t, d.query(queue)); left > dueLateness && cause != string(backlog.CauseDue) {
					strays++
					if strays > dueStrays {
						t.Fatalf("KEDA was told %s late, by a read that was caused by %q", late, cause)
					}
				}
			}
			t.Errorf("KEDA was never told within %s", dueLateness)
		})
	}
}
