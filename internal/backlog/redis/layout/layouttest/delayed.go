package layouttest

import (
	"fmt"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// A Delayer is a framework that can run a job later, at work on a server of its own.
type Delayer struct {
	*Driver
	Server *redistest.Server
	Query  func(queue string) backlog.Query
	// Delay adds a job to a queue and returns when it is due, as the library keeps it.
	Delay func(queue string) time.Time
}

const (
	// dueLateness is the most that may pass between the moment at which a job is due and
	// the moment of the push to KEDA.
	dueLateness = 100 * time.Millisecond
	// dueRounds is how often that is tried, because a busy machine may be late in each.
	dueRounds = 20
	// dueStrays is how many late rounds may have seen the job by another read than the one
	// at its moment: a regular read that the machine held up until then.
	dueStrays = 2
)

// DelayedJobsWakeAtZero checks that KEDA is notified of a delayed job within dueLateness of the
// moment at which it is due, and not before, while there is no worker. In a round in which
// the machine is late, it must still be the read at that moment that finds the job. It runs
// before the tests that run side by side, because it measures.
func DelayedJobsWakeAtZero(t *testing.T, start func(testing.TB, string) Delayer, names ...string) {
	t.Helper()
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := start(t, name)
			s := startScaler(t, d.Server)
			strays := 0
			for round := range dueRounds {
				if wakesWhenDue(t, d, s, fmt.Sprintf("later-%d", round), &strays) {
					d.Prove(Due)
					CheckPattern(t, d.Server, d.Query(fmt.Sprintf("later-%d", round)))
					return
				}
			}
			t.Errorf("KEDA was never notified within %s", dueLateness)
		})
	}
}

// wakesWhenDue delays a job and reports whether KEDA was notified in time. strays counts the
// rounds in which another read than the one at that moment found the job.
func wakesWhenDue(t *testing.T, d Delayer, s *scaler, queue string, strays *int) bool {
	t.Helper()
	messages := s.stream(t, d.Query(queue))
	if m := next(t, messages); m.active {
		t.Fatal("a queue without jobs is active")
	}
	due := d.Delay(queue)
	left := time.Until(due)
	m := next(t, messages)
	late := m.at.Sub(due)
	t.Logf("%s %s, %s: due at %s, KEDA notified %s later", d.Layout, d.Version, queue, due.Format("15:04:05.000000"), late)
	if !m.active || late < 0 {
		t.Fatalf("KEDA was notified of active=%t %s before the job was due", m.active, -late)
	}
	// A job that was all but due when it was added proves nothing.
	if late <= dueLateness && left > dueLateness {
		return true
	}
	if cause := s.wokenBy(t, d.Query(queue)); left > dueLateness && cause != string(backlog.CauseDue) {
		*strays++
		if *strays > dueStrays {
			t.Fatalf("KEDA was notified %s late, by a read that was caused by %q", late, cause)
		}
	}
	return false
}
