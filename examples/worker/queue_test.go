package main

import (
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// newTestQueue returns the queue "images" as a worker of that name sees it.
func newTestQueue(server *redistest.Server, worker string, lease time.Duration) *queue {
	return newQueue(server.Client(), "images", worker, lease)
}

func mustTake(t *testing.T, q *queue, want string) {
	t.Helper()
	job, found, err := q.take(t.Context())
	if err != nil || !found || job != want {
		t.Fatalf("take: %q, %t, %v; want %q", job, found, err, want)
	}
}

// TestOrder wants jobs in the order in which they were added, and one that was handed back
// first.
func TestOrder(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	q := newTestQueue(server, "pod-1", time.Minute)
	if _, found, err := q.take(t.Context()); found || err != nil {
		t.Errorf("take from an empty queue: %t, %v", found, err)
	}
	server.Do("LPUSH", "images", "a", "b")
	mustTake(t, q, "a")
	if held, err := q.release(t.Context(), "a"); !held || err != nil {
		t.Errorf("release: %t, %v", held, err)
	}
	lengths(t, server, 2, 0)
	mustTake(t, q, "a")
	mustTake(t, q, "b")
	for _, job := range []string{"a", "b"} {
		if held, err := q.finish(t.Context(), job); !held || err != nil {
			t.Errorf("finish %q: %t, %v", job, held, err)
		}
	}
	lengths(t, server, 0, 0)
}

// TestLostLease has a worker whose job was handed back to another one: it neither renews nor
// ends it.
func TestLostLease(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	slow, next := newTestQueue(server, "pod-1", time.Millisecond), newTestQueue(server, "pod-2", time.Hour)
	server.Do("LPUSH", "images", "a")
	mustTake(t, slow, "a")
	redistest.Eventually(t, "the lease ends", func() bool {
		recovered, err := next.recoverJobs(t.Context(), false)
		return err == nil && recovered == 1
	})
	lengths(t, server, 1, 0)
	check := func(when string) {
		t.Helper()
		if held, err := slow.renew(t.Context(), "a"); held || err != nil {
			t.Errorf("renew %s: %t, %v", when, held, err)
		}
		if held, err := slow.finish(t.Context(), "a"); held || err != nil {
			t.Errorf("finish %s: %t, %v", when, held, err)
		}
		if held, err := slow.release(t.Context(), "a"); held || err != nil {
			t.Errorf("release %s: %t, %v", when, held, err)
		}
	}
	check("a job that waits")
	mustTake(t, next, "a")
	check("a job of another worker")
	lengths(t, server, 0, 1)
}

// TestKilledBeforeTheLease has a job in flight without a lease, as a worker leaves it that is
// killed right after the move.
func TestKilledBeforeTheLease(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Do("LPUSH", "images:processing", "a")
	q := newTestQueue(server, "pod-1", 50*time.Millisecond)
	if recovered, err := q.recoverJobs(t.Context(), true); recovered != 0 || err != nil {
		t.Errorf("first: %d, %v; want a lease only", recovered, err)
	}
	redistest.Eventually(t, "the lease without an owner ends", func() bool {
		recovered, err := q.recoverJobs(t.Context(), false)
		return err == nil && recovered == 1
	})
	lengths(t, server, 1, 0)
}

// TestLateLease has a worker that leases its job after another one gave it a lease without an
// owner.
func TestLateLease(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Do("LPUSH", "images:processing", "a")
	late, other := newTestQueue(server, "pod-1", time.Hour), newTestQueue(server, "pod-2", time.Hour)
	if _, err := other.recoverJobs(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	if held, err := late.renew(t.Context(), "a"); !held || err != nil {
		t.Errorf("renew: %t, %v", held, err)
	}
	if held, err := other.renew(t.Context(), "a"); held || err != nil {
		t.Errorf("renew by the other: %t, %v", held, err)
	}
}

// TestOwnJobs wants a worker to hand back its own jobs only when it starts, and those of others
// not before their leases end.
func TestOwnJobs(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	q, other := newTestQueue(server, "pod-1", time.Hour), newTestQueue(server, "pod-2", time.Hour)
	server.Do("LPUSH", "images", "a", "b")
	mustTake(t, q, "a")
	mustTake(t, other, "b")
	if recovered, err := q.recoverJobs(t.Context(), false); recovered != 0 || err != nil {
		t.Errorf("while it works: %d, %v", recovered, err)
	}
	if recovered, err := q.recoverJobs(t.Context(), true); recovered != 1 || err != nil {
		t.Errorf("when it starts: %d, %v", recovered, err)
	}
	mustTake(t, q, "a")
}
