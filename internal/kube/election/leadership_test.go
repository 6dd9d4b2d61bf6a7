package election

import (
	"log/slog"
	"sync/atomic"
	"testing"
	"time"
)

func start() time.Time { return time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC) }

// A watch of a test, which stands until the test moves it.
type clock struct{ passed atomic.Int64 }

func (c *clock) now() time.Time        { return start().Add(time.Duration(c.passed.Load())) }
func (c *clock) pass(by time.Duration) { c.passed.Add(int64(by)) }

func electionOf(store Store, identity string, now func() time.Time, logger *slog.Logger) *Election {
	return New(Options{
		Store: store, Namespace: "keda", Name: "scaler", Identity: identity, Leadership: NewLeadership(now, false), Logger: logger, Now: now,
	})
}

// TestLeadership: a replica leads for ten seconds after the request that renewed the Lease began.
func TestLeadership(t *testing.T) {
	t.Parallel()
	c, s := &clock{}, &server{}
	e := electionOf(s, "a", c.now, slog.New(slog.DiscardHandler))
	leads := e.Leadership
	try := func() {
		t.Helper()
		if err := e.try(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(what string, want bool) {
		t.Helper()
		if leads.Leads() != want {
			t.Errorf("%s: leads is %v, want %v", what, !want, want)
		}
	}
	expect("before the first request", false)
	// A slow request counts from its begin.
	s.during = func() { c.pass(3 * time.Second) }
	try()
	s.during = nil
	expect("after the Lease was taken", true)
	c.pass(7*time.Second - 1)
	expect("just before ten seconds", true)
	c.pass(1)
	expect("ten seconds after the request began", false)

	try()
	expect("renewed", true)
	s.breakDown(errAway)
	c.pass(5 * time.Second)
	if err := e.try(t.Context()); err == nil {
		t.Fatal("no error")
	}
	expect("five seconds after a renewal", true)
	c.pass(5 * time.Second)
	expect("ten seconds after the last renewal that succeeded", false)

	s.breakDown(nil)
	try()
	// While the Lease is released another replica may take it.
	s.during = func() { expect("while the Lease is released", false) }
	e.release(t.Context())
	expect("released", false)
	if spec := s.spec(t); *spec.HolderIdentity != "" || *spec.LeaseDurationSeconds != 1 {
		t.Errorf("the released Lease is %v", spec)
	}
	if got := leads.Term(); got != 3 {
		t.Errorf("%d terms, want 3", got)
	}
}

// TestLeadershipTimes: a write that a replica began while it led ends before another one leads, and a
// renewal that hangs is tried again in time.
func TestLeadershipTimes(t *testing.T) {
	t.Parallel()
	if RenewDeadline+WriteTimeout >= Duration {
		t.Errorf("a write may end %s after the renewal, when another replica leads", RenewDeadline+WriteTimeout)
	}
	if 2*retryPeriod+tryTimeout >= RenewDeadline {
		t.Errorf("after a renewal that hangs the next begins %s after the last", 2*retryPeriod+tryTimeout)
	}
}

// TestOnlyReplica: without a Lease the only replica leads.
func TestOnlyReplica(t *testing.T) {
	t.Parallel()
	if !NewLeadership((&clock{}).now, true).Leads() {
		t.Error("it does not lead")
	}
}
