package redis_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// figures are those of a reading that a framework can be asked for too.
type figures struct {
	Ready, Due int64
	InFlight   backlog.Count
	Quality    backlog.Quality
}

func figuresOf(r backlog.Reading) figures {
	return figures{r.Ready, r.Due, r.InFlight, r.Quality}
}

// holdTo reads a queue in which nothing moves, with the age of its jobs and without it,
// and holds both readings to want, which follows from what the library counts.
func holdTo[C any](
	t testing.TB, step string, source backlog.Source, withAge, without backlog.Query, own C, want figures,
) backlog.Reading {
	t.Helper()
	aged, plain := backlogtest.MustRead(t, source, withAge), backlogtest.MustRead(t, source, without)
	for _, r := range []backlog.Reading{aged, plain} {
		if diff := cmp.Diff(want, figuresOf(r)); diff != "" {
			t.Errorf("%s: the library counts %+v, the reading differs:\n%s", step, own, diff)
		}
	}
	if !aged.NextDue.Equal(plain.NextDue) || aged.Missing != plain.Missing || aged.Paused != plain.Paused ||
		plain.Ready > 0 && plain.Oldest.Kind == backlog.AgeExact {
		t.Errorf("%s: %+v with the age, %+v without", step, aged, plain)
	}
	return aged
}

// atRest reads a queue when the library counts the same before and after.
func atRest[C comparable](
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

// wakes checks that add wakes an idle queue.
func wakes(t testing.TB, source backlog.Source, q backlog.Query, add func()) {
	t.Helper()
	ear := backlogtest.Listen(t, source)
	backlogtest.Arm(t, source, ear, q)
	add()
	ear.Await(t, q)
}
