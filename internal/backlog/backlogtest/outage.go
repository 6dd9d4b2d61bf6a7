package backlogtest

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

func (h Harness) refused(t *testing.T) {
	t.Helper()
	proxy := NewProxy(t, h.Address)
	proxy.Refuse()
	source := h.open(t, proxy.Addr())
	h.wantUnavailable(t, source)
	proxy.Restore()
	h.wantRecovery(t, source)
}

// silent: a server that accepts connections and never answers.
func (h Harness) silent(t *testing.T) {
	t.Helper()
	proxy := NewProxy(t, h.Address)
	source := h.open(t, proxy.Addr())
	h.wantRecovery(t, source)
	proxy.BlackHole()
	h.wantUnavailable(t, source)
	proxy.Restore()
	h.wantRecovery(t, source)
}

func (h Harness) halfOpen(t *testing.T) {
	t.Helper()
	proxy := NewProxy(t, h.Address)
	source := h.open(t, proxy.Addr())
	h.wantRecovery(t, source)
	proxy.HalfOpen()
	h.wantUnavailable(t, source)
	proxy.Restore()
	h.wantRecovery(t, source)
}

// cancelled: a read ends with its context, deadline or not.
func (h Harness) cancelled(t *testing.T) {
	t.Helper()
	proxy := NewProxy(t, h.Address)
	source := h.open(t, proxy.Addr())
	h.wantRecovery(t, source)
	proxy.BlackHole()
	ctx, cancel := context.WithCancel(t.Context())
	timer := time.AfterFunc(50*time.Millisecond, cancel)
	defer timer.Stop()
	begin := time.Now()
	result := source.Read(ctx, []backlog.Query{h.Cases[0].Query(t)}, nil)[0]
	if !errors.Is(result.Err, backlog.ErrUnavailable) {
		t.Errorf("a cancelled read gives %+v, want ErrUnavailable", result)
	}
	if took := time.Since(begin); took > lateness {
		t.Errorf("a read took %s to end after it was cancelled", took)
	}
}

// connectionLost: what was armed is not armed any more, so everything is woken, and
// nothing that is read meanwhile claims to be armed for ever.
func (h Harness) connectionLost(t *testing.T) {
	t.Helper()
	proxy := NewProxy(t, h.Address)
	source := h.open(t, proxy.Addr())
	c := h.Cases[0]
	q := c.Query(t)
	if !h.Wakes {
		h.wantRecovery(t, source)
		proxy.Cut()
		h.wantRecovery(t, source)
		return
	}
	wakeups := Listen(t, source)
	for range 3 {
		Arm(t, source, wakeups, q)
		proxy.Cut()
		wakeups.AwaitEverything(t)
	}
	Arm(t, source, wakeups, q)
	c.Add(t, q, 1)
	wakeups.Await(t, q)
}

// slow: an answer that takes its time is still an answer.
func (h Harness) slow(t *testing.T) {
	t.Helper()
	proxy := NewProxy(t, h.Address)
	proxy.Delay(20 * time.Millisecond)
	source := h.open(t, proxy.Addr())
	q := h.Cases[0].Query(t)
	h.Cases[0].put(t, q, 2)
	if r := Read(t, source, q)[0]; !h.Cases[0].holds(r, 2) {
		t.Errorf("a slow server's queue of 2 reads as %+v", r)
	}
}

// garbled: a server, or whatever has its address by now, that answers nonsense without
// end. It is an outage, on every connection, and nothing else.
func (h Harness) garbled(t *testing.T) {
	t.Helper()
	proxy := NewProxy(t, h.Address)
	source := h.open(t, proxy.Addr())
	for _, garbage := range []string{"\x00", "\xff\xfe\xfd", "\r\n", "1", "HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n\r\n", "\x16\x03\x01"} {
		h.wantRecovery(t, source)
		proxy.Garble([]byte(strings.Repeat(garbage, 64)))
		h.wantNoReading(t, source, h.GarbageIsMismatch)
		proxy.Restore()
	}
	h.wantRecovery(t, source)
}

// wantUnavailable reads every layout and wants ErrUnavailable, never a reading.
func (h Harness) wantUnavailable(t testing.TB, source backlog.Source) {
	t.Helper()
	h.wantNoReading(t, source, false)
}

// wantNoReading reads every layout and wants an error, never a reading. Where mismatch is set it
// may be ErrMismatch too.
func (h Harness) wantNoReading(t testing.TB, source backlog.Source, mismatch bool) {
	t.Helper()
	var queries []backlog.Query
	for _, c := range h.Cases {
		queries = append(queries, c.Query(t))
	}
	const limit = 300 * time.Millisecond
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	begin := time.Now()
	results := source.Read(ctx, queries, nil)
	if took := time.Since(begin); took > limit+lateness {
		t.Errorf("a read of at most %s took %s", limit, took)
	}
	for i, r := range results {
		expected := errors.Is(r.Err, backlog.ErrUnavailable) || mismatch && errors.Is(r.Err, backlog.ErrMismatch)
		if !expected || r.Armed || !reflect.ValueOf(r.Reading).IsZero() {
			t.Errorf("%+v of a server that does not answer reads as %+v, want an error alone", queries[i], r)
		}
	}
}

// wantRecovery reads until there is an answer.
func (h Harness) wantRecovery(t testing.TB, source backlog.Source) {
	t.Helper()
	q := h.Cases[0].Query(t)
	deadline := time.Now().Add(testTimeout)
	for {
		r := Read(t, source, q)[0]
		if h.Cases[0].isAbsent(r) {
			return
		}
		if r.Err == nil {
			t.Fatalf("a queue that does not exist reads as %+v", r)
		}
		if time.Now().After(deadline) {
			t.Fatalf("no answer within %s: %v", testTimeout, r.Err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
