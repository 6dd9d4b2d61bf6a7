package election

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// run has an election run in a bubble, and returns how to end it.
func run(t *testing.T, e *Election) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() { e.Run(ctx) })
	return func() {
		cancel()
		group.Wait()
	}
}

// leadsAfter returns how long it takes until a replica leads, to a hundredth of a second; -1 if it does not.
func leadsAfter(e *Election, atMost time.Duration) time.Duration {
	for begin := time.Now(); time.Since(begin) < atMost; time.Sleep(10 * time.Millisecond) {
		if e.Leadership.Leads() {
			return time.Since(begin)
		}
	}
	return -1
}

// patience is the longest time between two tries of a candidate.
const patience = 2*retryPeriod + retryPeriod*12/10

// TestTakeover: a Lease is taken once it was not seen to change for its duration, whatever its times say.
func TestTakeover(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		seconds int32
		renewed time.Duration
		// during is what happens while the candidate waits.
		during      func(s *server)
		least, most time.Duration
	}{
		"silent":                  {15, 0, nil, 15 * time.Second, 15*time.Second + patience},
		"a clock that is behind":  {15, -24 * time.Hour, nil, 15 * time.Second, 15*time.Second + patience},
		"a clock that is ahead":   {15, 24 * time.Hour, nil, 15 * time.Second, 15*time.Second + patience},
		"another version's":       {40, 0, nil, 40 * time.Second, 40*time.Second + patience},
		"renewed after 12 s":      {15, 0, func(s *server) { time.Sleep(12 * time.Second); s.hold("other", 15, time.Now()) }, 27 * time.Second, 27*time.Second + 2*patience},
		"released after 5 s":      {15, 0, func(s *server) { time.Sleep(5 * time.Second); s.hold("", 1, time.Now()) }, 5 * time.Second, 5*time.Second + patience},
		"labelled all the time":   {15, 0, func(s *server) { touch(s) }, 15 * time.Second, 15*time.Second + patience},
		"deleted while it counts": {15, 0, func(s *server) { time.Sleep(5 * time.Second); s.remove() }, 15 * time.Second, 15*time.Second + patience},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &server{}
				s.hold("other", test.seconds, time.Now().Add(test.renewed))
				e := electionOf(s, "a", time.Now, slog.New(slog.DiscardHandler))
				stop := run(t, e)
				var group sync.WaitGroup
				if test.during != nil {
					group.Go(func() { test.during(s) })
				}
				if took := leadsAfter(e, time.Minute); took < test.least || took > test.most {
					t.Errorf("leads after %s, want %s to %s", took, test.least, test.most)
				}
				group.Wait()
				stop()
			})
		})
	}
}

func touch(s *server) {
	for range 6 {
		time.Sleep(3 * time.Second)
		s.touch()
	}
}

func (s *server) remove() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lease = nil
}

// TestRelease: when the leader ends, another replica leads at its next try. A candidate that ends leaves the Lease alone.
func TestRelease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		first, second := electionOf(s, "a", time.Now, slog.New(slog.DiscardHandler)), electionOf(s, "b", time.Now, slog.New(slog.DiscardHandler))
		stopFirst := run(t, first)
		synctest.Wait()
		if !first.Leadership.Leads() {
			t.Error("does not lead at once where there is no Lease")
		}
		stopSecond, third := run(t, second), electionOf(s, "c", time.Now, slog.New(slog.DiscardHandler))
		run(t, third)()
		time.Sleep(time.Minute)
		if !first.Leadership.Leads() || second.Leadership.Leads() {
			t.Errorf("after a minute: first %v, second %v", first.Leadership.Leads(), second.Leadership.Leads())
		}
		stopFirst()
		if took := leadsAfter(second, time.Minute); took < 0 || took > patience {
			t.Errorf("leads %s after the release", took)
		}
		if spec := s.spec(t); *spec.HolderIdentity != "b" || *spec.LeaseTransitions != 1 || *spec.LeaseDurationSeconds != 15 {
			t.Errorf("the Lease is %v", spec)
		}
		stopSecond()
	})
}

// TestRenewal: a leader renews every two seconds, without reading, and keeps what others added.
func TestRenewal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		e := electionOf(s, "a", time.Now, slog.New(slog.DiscardHandler))
		stop := run(t, e)
		synctest.Wait()
		before := s.spec(t)
		s.touch()
		time.Sleep(time.Minute)
		after := s.spec(t)
		if !after.AcquireTime.Equal(before.AcquireTime) || after.RenewTime.Sub(before.RenewTime.Time) < 58*time.Second || *after.LeaseTransitions != 0 {
			t.Errorf("from %v to %v", before, after)
		}
		if s.lease.Labels["touched"] == "" {
			t.Error("a label is lost")
		}
		// The first, the label, and one every two seconds.
		if s.writes < 30 || s.writes > 32 {
			t.Errorf("%d writes in a minute", s.writes)
		}
		stop()
	})
}

// TestServerAway: a leader that cannot renew ends after ten seconds, is a candidate from then on, and leads again. Its log
// has one line for each change.
func TestServerAway(t *testing.T) {
	t.Parallel()
	for name, store := range map[string]func(*server) Store{
		"refuses": func(s *server) Store { return s },
		"hangs":   func(s *server) Store { return hanging{s} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, log := &server{}, &bytes.Buffer{}
				e := electionOf(store(s), "a", time.Now, slog.New(slog.NewTextHandler(log, nil)))
				stop := run(t, e)
				synctest.Wait()
				s.breakDown(errAway)
				time.Sleep(RenewDeadline - time.Millisecond)
				if !e.Leadership.Leads() {
					t.Error("does not lead for ten seconds after the renewal")
				}
				time.Sleep(time.Millisecond)
				if e.Leadership.Leads() {
					t.Error("leads without a renewal")
				}
				time.Sleep(time.Minute)
				s.breakDown(nil)
				if took := leadsAfter(e, time.Minute); took < 0 || took > patience+tryTimeout {
					t.Errorf("leads %s after the server has returned", took)
				}
				if got := e.Leadership.Term(); got != 2 {
					t.Errorf("%d terms, want 2", got)
				}
				stop()
				if got := strings.Count(log.String(), "\n"); got != 2 {
					t.Errorf("%d lines:\n%s", got, log)
				}
			})
		})
	}
}

// hanging answers nothing while the server is broken.
type hanging struct{ *server }

func (h hanging) wait(ctx context.Context) {
	h.mu.Lock()
	broken := h.broken != nil
	h.mu.Unlock()
	if broken {
		<-ctx.Done()
	}
}

func (h hanging) Get(ctx context.Context) (*coordinationv1.Lease, error) {
	h.wait(ctx)
	return h.server.Get(ctx)
}

func (h hanging) Update(ctx context.Context, lease *coordinationv1.Lease) (*coordinationv1.Lease, error) {
	h.wait(ctx)
	return h.server.Update(ctx, lease)
}

// TestTakenFromLeader: a leader that reads another holder does not write any more.
func TestTakenFromLeader(t *testing.T) {
	t.Parallel()
	c, s := &clock{}, &server{}
	e := electionOf(s, "a", c.now, slog.New(slog.DiscardHandler))
	for range 2 {
		if err := e.try(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	s.hold("other", 15, c.now())
	if err := e.try(t.Context()); err != nil {
		t.Fatal(err)
	}
	if e.Leadership.Leads() {
		t.Error("leads next to another holder")
	}
	e.release(t.Context())
	if got := *s.spec(t).HolderIdentity; got != "other" {
		t.Errorf("the holder is %q", got)
	}
}

// TestDeletedLease: a leader whose Lease was deleted makes another one.
func TestDeletedLease(t *testing.T) {
	t.Parallel()
	c, s := &clock{}, &server{}
	e := electionOf(s, "a", c.now, slog.New(slog.DiscardHandler))
	for range 3 {
		if err := e.try(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !e.Leadership.Leads() || *s.spec(t).HolderIdentity != "a" {
			t.Error("does not lead")
		}
		s.remove()
	}
}

// TestMissingNamespace: what keeps a replica from ever leading is an error.
func TestMissingNamespace(t *testing.T) {
	t.Parallel()
	e := electionOf(nowhere{&server{}}, "a", (&clock{}).now, slog.New(slog.DiscardHandler))
	if err := e.try(t.Context()); !apierrors.IsNotFound(err) {
		t.Errorf("error %v", err)
	}
}

type nowhere struct{ *server }

func (nowhere) Create(context.Context, *coordinationv1.Lease) (*coordinationv1.Lease, error) {
	return nil, apierrors.NewNotFound(resource(), "keda")
}
