package backlogtest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// confirmLimit is the timeout of a confirmation that must fail.
const confirmLimit = 300 * time.Millisecond

// confirm calls Confirm once, and returns the time until which all armed queues are confirmed.
func confirm(t testing.TB, source backlog.Source, limit time.Duration) (time.Time, error) {
	t.Helper()
	confirmer, ok := source.(backlog.Confirmer)
	if !ok {
		t.Fatalf("%T does not confirm", source)
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	began := time.Now()
	until, err := confirmer.Confirm(ctx)
	if took := time.Since(began); took > limit+lateness {
		t.Errorf("a confirmation of at most %s took %s", limit, took)
	}
	if err == nil && (until.Before(began) || until.After(time.Now())) {
		t.Errorf("confirmed until %s, want a moment after %s", until, began)
	}
	return until, err
}

// confirms: armed queues are confirmed, and an earlier change was notified by then.
func (h Harness) confirms(t *testing.T) {
	t.Helper()
	source := h.open(t, h.Address)
	wakeups := Listen(t, source)
	for _, c := range h.Cases {
		q := c.Query(t)
		Arm(t, source, wakeups, q)
		for range 3 {
			if _, err := confirm(t, source, readTimeout); err != nil {
				t.Fatalf("%s: not confirmed: %v", c.Name, err)
			}
		}
		c.Add(t, q, 1)
		if _, err := confirm(t, source, readTimeout); err != nil {
			t.Fatalf("%s: not confirmed after a change: %v", c.Name, err)
		}
		// It is on its way inside of the program at the most.
		wakeups.Await(t, q)
	}
}

// confirmsNothing: nothing is confirmed where changes may be missed.
func (h Harness) confirmsNothing(t *testing.T) {
	t.Helper()
	source := h.open(t, h.Address)
	h.wantRecovery(t, source)
	if _, ok := source.(backlog.Confirmer); !ok {
		return
	}
	if until, err := confirm(t, source, readTimeout); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("confirmed until %s (%v), want ErrUnsupported", until, err)
	}
}

// confirmsNoOutage: a server that does not answer confirms nothing, and confirms again once it
// answers.
func (h Harness) confirmsNoOutage(t *testing.T) {
	t.Helper()
	for name, outage := range map[string]func(*Proxy){
		"silent":    (*Proxy).BlackHole,
		"half open": (*Proxy).HalfOpen,
		// Whatever each is for, no connection may be silent.
		"first connection mute": func(p *Proxy) { p.Mute(0) },
		"last connection mute": func(p *Proxy) {
			// A third one that searches in the background ends by itself, and confirms nothing.
			for deadline := time.Now().Add(testTimeout); p.Connections() > 2 && time.Now().Before(deadline); {
				time.Sleep(time.Millisecond)
			}
			p.Mute(p.Connections() - 1)
		},
		"refused": func(p *Proxy) { p.Refuse(); p.Cut() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy := NewProxy(t, h.Address)
			source := h.open(t, proxy.Addr())
			wakeups := Listen(t, source)
			q := h.Cases[0].Query(t)
			Arm(t, source, wakeups, q)
			outage(proxy)
			for range 2 {
				if until, err := confirm(t, source, confirmLimit); err == nil {
					t.Fatalf("confirmed until %s by a server that does not answer", until)
				}
			}
			proxy.Restore()
			Arm(t, source, wakeups, q)
			if _, err := confirm(t, source, readTimeout); err != nil {
				t.Errorf("not confirmed after the outage: %v", err)
			}
		})
	}
}
