package election

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"pgregory.net/rapid"
)

// A world has several replicas and one server. What happens between the begin and the end of a request is drawn: time passes,
// other replicas try, requests and replies are lost or come late.
type world struct {
	*rapid.T

	server *server
	// passed is the time since the begin, and replicas have clocks of their own.
	passed   time.Duration
	replicas []*replica
	made     int
	// late are writes that reach the server after their client has given up.
	late []func()
	// depth bounds requests that happen during others.
	depth int
	// terms counts how often a replica began to lead.
	terms uint64
}

// A replica is a Store for its own election.
type replica struct {
	*Election

	world *world
	ahead time.Duration
	busy  bool
}

var errLost = errors.New("no reply")

func (w *world) join() {
	w.made++
	r := &replica{world: w, ahead: time.Duration(rapid.IntRange(-3600, 3600).Draw(w.T, "ahead")) * time.Second}
	now := func() time.Time { return start().Add(w.passed + r.ahead) }
	r.Election = electionOf(r, strconv.Itoa(w.made), now, slog.New(slog.DiscardHandler))
	w.replicas = append(w.replicas, r)
}

// step is one thing that happens.
func (w *world) step(ctx context.Context) {
	r := w.replicas[rapid.IntRange(0, len(w.replicas)-1).Draw(w.T, "replica")]
	switch rapid.SampledFrom([]string{"try", "try", "try", "try", "pass", "pass", "touch", "late", "stop", "crash"}).Draw(w.T, "step") {
	case "try":
		if !r.busy {
			r.busy = true
			before := r.Leadership.Term()
			_ = r.try(ctx)
			w.terms += r.Leadership.Term() - before
			r.busy = false
		}
	case "pass":
		w.pass()
	case "touch":
		w.server.touch()
	case "late":
		if len(w.late) > 0 {
			w.late[0]()
			w.late = w.late[1:]
		}
	case "stop":
		if !r.busy {
			r.busy = true
			r.release(ctx)
			w.leave(r)
		}
	case "crash":
		if !r.busy {
			w.leave(r)
		}
	}
	w.check()
}

// leave has another replica take the place of one.
func (w *world) leave(r *replica) {
	w.replicas = slices.DeleteFunc(w.replicas, func(other *replica) bool { return other == r })
	w.join()
}

// pass has a time pass: often one that is next to a limit.
func (w *world) pass() {
	if rapid.Bool().Draw(w.T, "next to a limit") {
		limit := rapid.SampledFrom([]time.Duration{retryPeriod, WriteTimeout, tryTimeout, RenewDeadline, RenewDeadline + WriteTimeout, Duration}).Draw(w.T, "limit")
		w.passed += limit - time.Duration(rapid.IntRange(0, 2000).Draw(w.T, "ms"))*time.Millisecond
	} else {
		w.passed += time.Duration(rapid.IntRange(0, 5000).Draw(w.T, "ms")) * time.Millisecond
	}
	w.check()
}

// check fails if a replica leads before the last write of another one has ended for sure.
func (w *world) check() {
	for _, r := range w.replicas {
		if !r.Leadership.Leads() {
			continue
		}
		for _, other := range w.replicas {
			until := other.Leadership.until.Load()
			if passed := other.Now().Sub(other.Leadership.base); other != r && until > 0 && passed < time.Duration(until)+WriteTimeout {
				w.Fatalf("%s: %s leads, and %s until %s", w.passed, r.Identity, other.Identity, w.passed-passed+time.Duration(until))
			}
		}
	}
}

// meanwhile is what happens while a request or a reply is under way.
func (w *world) meanwhile(ctx context.Context) {
	if rapid.Bool().Draw(w.T, "slow") {
		w.pass()
	}
	if w.depth == 2 {
		return
	}
	w.depth++
	for range rapid.IntRange(0, 2).Draw(w.T, "meanwhile") {
		w.step(ctx)
	}
	w.depth--
}

func (r *replica) Get(ctx context.Context) (*coordinationv1.Lease, error) {
	r.world.meanwhile(ctx)
	lease, err := r.world.server.Get(ctx)
	r.world.meanwhile(ctx)
	if r.world.fails() {
		return nil, errLost
	}
	return lease, err
}

func (r *replica) Create(ctx context.Context, lease *coordinationv1.Lease) (*coordinationv1.Lease, error) {
	return r.send(ctx, func() (*coordinationv1.Lease, error) { return r.world.server.Create(ctx, lease) })
}

func (r *replica) Update(ctx context.Context, lease *coordinationv1.Lease) (*coordinationv1.Lease, error) {
	return r.send(ctx, func() (*coordinationv1.Lease, error) { return r.world.server.Update(ctx, lease) })
}

func (r *replica) send(ctx context.Context, write func() (*coordinationv1.Lease, error)) (*coordinationv1.Lease, error) {
	r.world.meanwhile(ctx)
	if r.world.fails() {
		r.world.late = append(r.world.late, func() { _, _ = write() })
		return nil, errLost
	}
	lease, err := write()
	r.world.meanwhile(ctx)
	if r.world.fails() {
		return nil, errLost
	}
	return lease, err
}

func (w *world) fails() bool { return rapid.IntRange(0, 9).Draw(w.T, "fails") == 0 }

// TestOneLeads: no two replicas write at the same time, whatever happens to their requests. Some of them lead.
func TestOneLeads(t *testing.T) {
	t.Parallel()
	terms := uint64(0)
	rapid.Check(t, func(t *rapid.T) {
		w := &world{T: t, server: &server{}}
		for range rapid.IntRange(2, 3).Draw(t, "replicas") {
			w.join()
		}
		for range rapid.IntRange(1, 120).Draw(t, "steps") {
			w.step(t.Context())
		}
		terms += w.terms
	})
	if terms == 0 {
		t.Error("no replica ever led")
	}
}

// TestSomeoneLeads: once requests succeed, a replica leads soon, whatever happened before.
func TestSomeoneLeads(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := &world{T: t, server: &server{}}
		w.join()
		w.join()
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			w.step(t.Context())
		}
		for _, r := range w.replicas {
			r.Store = w.server
		}
		for range 12 {
			w.passed += 2 * time.Second
			for _, r := range w.replicas {
				if err := r.try(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			w.check()
		}
		if w.replicas[0].Leadership.Leads() == w.replicas[1].Leadership.Leads() {
			t.Fatalf("after 24 s %s leads: %v, %s leads: %v", w.replicas[0].Identity, w.replicas[0].Leadership.Leads(),
				w.replicas[1].Identity, w.replicas[1].Leadership.Leads())
		}
	})
}
