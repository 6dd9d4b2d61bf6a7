package layouttest

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// Ready are the queues of a reading with what is ready in each.
func Ready(r backlog.Reading) map[string]int64 {
	queues := map[string]int64{}
	for _, part := range r.Parts {
		queues[part.Queue] = part.Reading.Ready
	}
	return queues
}

// MustFind reads a pattern. A server that is busy may fail the first search.
func MustFind(t testing.TB, source backlog.Source, q backlog.Query) backlog.Reading {
	t.Helper()
	var r backlog.Result
	redistest.Eventually(t, "the queues are looked for", func() bool {
		r = backlogtest.Read(t, source, q)[0]
		if r.Err != nil && !errors.Is(r.Err, backlog.ErrUnavailable) {
			t.Fatal(r.Err)
		}
		return r.Err == nil
	})
	return r.Reading
}

// Figures are those of a reading that a framework can be asked for too.
type Figures struct {
	Ready, Due int64
	InFlight   backlog.Count
	Quality    backlog.Quality
}

// FiguresOf returns the figures of a reading.
func FiguresOf(r backlog.Reading) Figures {
	return Figures{r.Ready, r.Due, r.InFlight, r.Quality}
}

// HoldTo reads a queue in which nothing moves, with the age of its jobs and without it,
// and holds both readings to want, which follows from what the library counts.
func HoldTo[C any](
	t testing.TB, step string, source backlog.Source, withAge, without backlog.Query, own C, want Figures,
) backlog.Reading {
	t.Helper()
	aged, plain := backlogtest.MustRead(t, source, withAge), backlogtest.MustRead(t, source, without)
	for _, r := range []backlog.Reading{aged, plain} {
		if diff := cmp.Diff(want, FiguresOf(r)); diff != "" {
			t.Errorf("%s: the library counts %+v, the reading differs:\n%s", step, own, diff)
		}
	}
	if !aged.NextDue.Equal(plain.NextDue) || aged.Missing != plain.Missing || aged.Paused != plain.Paused ||
		plain.Ready > 0 && plain.Oldest.Kind == backlog.AgeExact {
		t.Errorf("%s: %+v with the age, %+v without", step, aged, plain)
	}
	return aged
}

// AtRest reads a queue when the library counts the same before and after.
func AtRest[C comparable](
	t testing.TB, step string, source backlog.Source, q backlog.Query, counts func(queue string) C,
) (own C, r backlog.Reading) {
	t.Helper()
	redistest.Eventually(t, step+": the library is at rest", func() bool {
		own = counts(q.Queue)
		r = backlogtest.MustRead(t, source, q)
		return own == counts(q.Queue)
	})
	return own, r
}

// CheckPattern checks that a pattern finds a queue in which there is work, by what the real
// library leaves of it, and reads the same of it.
func CheckPattern(t testing.TB, server *redistest.Server, q backlog.Query) {
	t.Helper()
	pattern := q
	pattern.Queue = q.Queue[:len(q.Queue)-1] + "?"
	source := OpenServer(t, server, nil)
	r := MustFind(t, source, pattern)
	for _, part := range r.Parts {
		if part.Queue == q.Queue && part.Reading.Backlog() > 0 {
			return
		}
	}
	t.Errorf("the pattern %q reads as %+v, and the queue %q alone as %+v", pattern.Queue, r, q.Queue, backlogtest.MustRead(t, source, q))
}

// NotYetDue checks a reading of work that is due at a moment, to within a second, which
// it is to say, and returns when a reader looks again. A busy machine may take the reading
// after that moment; then it says nothing of before.
func NotYetDue(t testing.TB, r backlog.Reading, due time.Time) (next time.Time) {
	t.Helper()
	if !r.At.Before(due) {
		t.Logf("the reading was taken %s after the work was due", r.At.Sub(due))
		return due
	}
	if r.Backlog() != 0 || r.Missing || r.NextDue.Sub(due).Abs() > time.Second {
		t.Fatalf("work that is due at %v reads as %+v", due, r)
	}
	return r.NextDue
}

// CheckWakes checks that add wakes an idle queue.
func CheckWakes(t testing.TB, source backlog.Source, q backlog.Query, add func()) {
	t.Helper()
	ear := backlogtest.Listen(t, source)
	backlogtest.Arm(t, source, ear, q)
	add()
	ear.Await(t, q)
}

// CheckHint waits until a queue that does not exist reads with a hint, which the warning does
// not have: the keys are searched in the background.
func CheckHint(t testing.TB, server *redistest.Server, q backlog.Query, hint string) {
	t.Helper()
	source := OpenServer(t, server, nil)
	redistest.Eventually(t, "the hint has "+hint, func() bool {
		r := backlogtest.MustRead(t, source, q)
		return r.Missing && strings.Contains(r.Hint, hint) && !strings.Contains(r.Warning, hint)
	})
}
