package backlogtest

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// Logger returns a logger that writes to the output of the test. It must not be used
// after the test has ended.
func Logger(t testing.TB) *slog.Logger {
	t.Helper()
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}

// Open opens a source that is closed with the test.
func Open(t testing.TB, e backlog.Engine, c backlog.Connection) backlog.Source {
	t.Helper()
	source, err := e.Open(t.Context(), c, Logger(t))
	if err != nil {
		t.Fatalf("open connection %q: %v", c.Name, err)
	}
	t.Cleanup(func() {
		if err := source.Close(); err != nil {
			t.Errorf("close connection %q: %v", c.Name, err)
		}
	})
	return source
}

// Read reads queries, and again while one of them is pending.
func Read(t testing.TB, source backlog.Source, queries ...backlog.Query) []backlog.Result {
	t.Helper()
	deadline := time.Now().Add(testTimeout)
	for {
		results := ReadOnce(t, source, queries...)
		if !slices.ContainsFunc(results, func(r backlog.Result) bool { return r.Pending }) {
			return results
		}
		if time.Now().After(deadline) {
			t.Fatalf("pending for %s: %+v", testTimeout, results)
		}
		time.Sleep(time.Millisecond)
	}
}

// ReadOnce reads queries once, within readTimeout.
func ReadOnce(t testing.TB, source backlog.Source, queries ...backlog.Query) []backlog.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), readTimeout)
	defer cancel()
	results := source.Read(ctx, queries, nil)
	if len(results) != len(queries) {
		t.Fatalf("%d queries have %d results", len(queries), len(results))
	}
	return results
}

// MustRead reads one query, which must succeed.
func MustRead(t testing.TB, source backlog.Source, q backlog.Query) backlog.Reading {
	t.Helper()
	r := Read(t, source, q)[0]
	if r.Err != nil {
		t.Fatal(r.Err)
	}
	return r.Reading
}

// Wakeups receives the wake-ups of a source.
type Wakeups struct{ wakes <-chan backlog.Wake }

// Listen returns the Wakeups of source, which must be a Waker.
func Listen(t testing.TB, source backlog.Source) *Wakeups {
	t.Helper()
	waker, ok := source.(backlog.Waker)
	if !ok {
		t.Fatalf("%T does not wake", source)
	}
	return &Wakeups{waker.Wakes()}
}

// Await waits for a wake-up of q, or of everything.
func (e *Wakeups) Await(t testing.TB, q backlog.Query) {
	t.Helper()
	e.await(t, func(w backlog.Wake) bool { return contains(w, q) })
}

// AwaitEverything waits for a wake-up of everything.
func (e *Wakeups) AwaitEverything(t testing.TB) {
	t.Helper()
	e.await(t, func(w backlog.Wake) bool { return w.Everything })
}

func (e *Wakeups) await(t testing.TB, wanted func(backlog.Wake) bool) {
	t.Helper()
	deadline := time.After(testTimeout)
	for {
		select {
		case w, open := <-e.wakes:
			if !open {
				t.Fatal("the wake-ups have ended")
			}
			if wanted(w) {
				return
			}
		case <-deadline:
			t.Fatalf("not woken within %s", testTimeout)
		}
	}
}

// Quiet reports whether there is no wake-up of q for d.
func (e *Wakeups) Quiet(q backlog.Query, d time.Duration) bool {
	quiet := time.After(d)
	for {
		select {
		case w, open := <-e.wakes:
			if open && contains(w, q) {
				return false
			}
		case <-quiet:
			return true
		}
	}
}

// quietTime is how long no wake-up may come before Arm returns.
const quietTime = 30 * time.Millisecond

// Arm reads queries until all are armed and no wake-up is on its way. On a busy machine
// one may still be on its way inside of the program; a test that would fail because of it
// has to see a change of another queue first.
func Arm(t testing.TB, source backlog.Source, wakeups *Wakeups, queries ...backlog.Query) {
	t.Helper()
	deadline := time.Now().Add(testTimeout)
	for {
		armed := true
		var last backlog.Result
		for _, r := range Read(t, source, queries...) {
			if r.Err != nil || !r.Armed {
				armed, last = false, r
			}
		}
		if confirmed(t, source) && wakeups.idle(quietTime) && armed {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not armed within %s: %+v, status %+v", testTimeout, last, source.Status())
		}
	}
}

// confirmed reports whether a source that can confirm does so. It has then handled everything
// that its servers reported before, including the start of its connections.
func confirmed(t testing.TB, source backlog.Source) bool {
	t.Helper()
	confirmer, ok := source.(backlog.Confirmer)
	if !ok {
		return true
	}
	ctx, cancel := context.WithTimeout(t.Context(), readTimeout)
	defer cancel()
	_, err := confirmer.Confirm(ctx)
	return err == nil || errors.Is(err, errors.ErrUnsupported)
}

// idle reports whether there is no wake-up at all for d.
func (e *Wakeups) idle(d time.Duration) bool {
	select {
	case <-e.wakes:
		return false
	case <-time.After(d):
		return true
	}
}
