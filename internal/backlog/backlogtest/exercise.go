package backlogtest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

const (
	// testTimeout bounds the wait for what must happen. It passes only where something is
	// wrong.
	testTimeout = time.Minute
	// readTimeout is the bound that the suite gives a read that must succeed.
	readTimeout = 30 * time.Second
	// lateness is how much longer than its bound a read may take on a busy machine. A
	// read that knows no bound takes longer: see Harness.Connection.
	lateness = 20 * time.Second
)

// A Harness is how Exercise uses an engine on a real server.
type Harness struct {
	// Connection returns the settings with which the engine reaches a server at the given
	// "host:port". The engine's own timeouts must be a minute or more, so that the suite can
	// verify the timeout of a read's context.
	Connection func(address string) backlog.Connection
	// Engine is the engine under test.
	Engine backlog.Engine
	// Address is the "host:port" of the server.
	Address string
	// Cases are the layouts.
	Cases []Case
	// Wakes reports whether a change of an idle queue must wake.
	Wakes bool
	// Confirms reports whether armed queues can be confirmed.
	Confirms bool
	// GarbageIsMismatch reports whether what follows the protocol of the server without being an
	// answer of it is ErrMismatch. Otherwise it is ErrUnavailable.
	GarbageIsMismatch bool
}

// A Case is one layout and the operations on a queue of it.
type Case struct {
	Name string
	// Query returns a query of a queue that does not exist. Each call returns another.
	Query func(t testing.TB) backlog.Query
	// Add makes n more messages ready.
	Add func(t testing.TB, q backlog.Query, n int)
	// Take hands n messages out to a worker; nil if the layout has no messages in flight.
	Take func(t testing.TB, q backlog.Query, n int)
	// Ack finishes n messages: those in flight if there is Take, else ready ones.
	Ack func(t testing.TB, q backlog.Query, n int)
	// Corrupt makes the queue something that its layout does not read; nil if that is
	// impossible.
	Corrupt func(t testing.TB, q backlog.Query)
	// EmptyExists reports whether an empty queue differs from a missing one.
	EmptyExists bool
	// Set makes a number what the query measures. It is for layouts that measure, and takes the
	// place of Add, Take and Ack: a query then names a number instead of a queue, and one that
	// does not exist is unknown.
	Set func(t testing.TB, q backlog.Query, number float64)
	// Whole reports that the layout counts, so that Set takes small whole numbers only.
	Whole bool
}

// Exercise is the conformance suite of engines. The caller checks for leaked
// goroutines, with goleak in TestMain.
func Exercise(t *testing.T, h Harness) {
	t.Helper()
	for _, c := range h.Cases {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			if c.Set != nil {
				t.Run("measures", func(t *testing.T) { h.measures(t, c) })
			} else {
				t.Run("counts", func(t *testing.T) { h.counts(t, c) })
				t.Run("several", func(t *testing.T) { h.several(t, c) })
			}
			if c.Corrupt != nil {
				t.Run("mismatch", func(t *testing.T) { h.mismatch(t, c) })
			}
			if h.Wakes {
				t.Run("wakes", func(t *testing.T) { h.wakes(t, c) })
			}
		})
	}
	exercises := map[string]func(*testing.T){
		"order":           h.order,
		"unknown layout":  h.unknownLayout,
		"refused":         h.refused,
		"silent":          h.silent,
		"half open":       h.halfOpen,
		"cancelled":       h.cancelled,
		"connection lost": h.connectionLost,
		"slow":            h.slow,
		"garbled":         h.garbled,
		"close":           h.close,
	}
	if h.Confirms {
		exercises["confirms"], exercises["confirms no outage"] = h.confirms, h.confirmsNoOutage
	} else {
		exercises["confirms nothing"] = h.confirmsNothing
	}
	for name, exercise := range exercises {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			exercise(t)
		})
	}
}

func (h Harness) open(t testing.TB, address string) backlog.Source {
	t.Helper()
	return Open(t, h.Engine, h.Connection(address))
}

func (h Harness) counts(t *testing.T, c Case) {
	t.Helper()
	source := h.open(t, h.Address)
	q := c.Query(t)
	r := MustRead(t, source, q)
	if !r.Missing || r.Backlog() != 0 {
		t.Fatalf("a queue that does not exist reads as %+v, want Missing", r)
	}
	layout, _ := h.Engine.Layout(q.Layout)
	if layout.CountsInFlight(q) == nil && r.InFlight != backlog.Exactly(0) {
		t.Fatalf("a queue that does not exist reads as %+v, want no message in flight", r)
	}
	c.Add(t, q, 3)
	if r = MustRead(t, source, q); r.Missing || r.Backlog() != 3 {
		t.Fatalf("a queue of 3 reads as %+v", r)
	}
	if r.At.IsZero() || time.Since(r.At) > readTimeout {
		t.Errorf("At is %v, want the time of the answer", r.At)
	}
	if c.Take != nil {
		countsInFlight(t, c, source, q)
	}
	c.Ack(t, q, 3)
	if r = MustRead(t, source, q); r.Backlog() != 0 || r.Missing == c.EmptyExists {
		t.Fatalf("an empty queue reads as %+v, want Missing to be %t", r, !c.EmptyExists)
	}
}

// countsInFlight takes the three messages of q.
func countsInFlight(t *testing.T, c Case, source backlog.Source, q backlog.Query) {
	t.Helper()
	c.Take(t, q, 2)
	r := MustRead(t, source, q)
	asGoodAsSaid := r.Ready == 1 || r.Ready > 1 && r.Quality == backlog.UpperBound
	if !asGoodAsSaid || r.InFlight != backlog.Exactly(2) {
		t.Fatalf("1 ready and 2 in flight read as %+v", r)
	}
	c.Take(t, q, 1)
	if r = MustRead(t, source, q); r.Ready != 0 || r.InFlight != backlog.Exactly(3) || r.Missing {
		t.Fatalf("3 in flight read as %+v", r)
	}
}

func (h Harness) mismatch(t *testing.T, c Case) {
	t.Helper()
	source := h.open(t, h.Address)
	q := c.Query(t)
	c.Corrupt(t, q)
	good := c.Query(t)
	c.put(t, good, 1)
	results := Read(t, source, q, good)
	if !errors.Is(results[0].Err, backlog.ErrMismatch) {
		t.Errorf("a queue of another kind reads as %+v, want ErrMismatch", results[0])
	}
	if !c.holds(results[1], 1) {
		t.Errorf("the queue next to it reads as %+v, want 1", results[1])
	}
}

func (h Harness) wakes(t *testing.T, c Case) {
	t.Helper()
	source := h.open(t, h.Address)
	wakeups := Listen(t, source)
	q := c.Query(t)
	for i := range 3 {
		Arm(t, source, wakeups, q)
		c.Add(t, q, 1)
		wakeups.Await(t, q)
		if r := MustRead(t, source, q); r.Backlog() != int64(i+1) {
			t.Fatalf("after wake-up %d the queue reads as %+v", i+1, r)
		}
	}
}

// several: queues of one query are read as one, each is a part of it, and any of them
// wakes. Where the layout does not know several, their names are those of one queue.
func (h Harness) several(t *testing.T, c Case) {
	t.Helper()
	source := h.open(t, h.Address)
	first, second := c.Query(t), c.Query(t)
	whole := first
	whole.Queue += "," + second.Queue
	if r := MustRead(t, source, whole); !r.Missing || r.Backlog() != 0 {
		t.Fatalf("queues that do not exist read as %+v, want Missing", r)
	}
	layout, _ := h.Engine.Layout(first.Layout)
	if layout.Patterns == "" {
		return
	}
	c.Add(t, first, 1)
	c.Add(t, second, 2)
	want := map[string]int64{first.Queue: 1, second.Queue: 2}
	r := MustRead(t, source, whole)
	if r.Missing || r.Backlog() != 3 || len(r.Parts) != 2 {
		t.Fatalf("1 and 2 read as %+v", r)
	}
	for _, part := range r.Parts {
		if part.Reading.Backlog() != want[part.Queue] {
			t.Errorf("of 1 and 2, queue %q reads as %+v", part.Queue, part.Reading)
		}
	}
	if !h.Wakes {
		return
	}
	wakeups := Listen(t, source)
	for i, q := range []backlog.Query{second, first} {
		Arm(t, source, wakeups, whole)
		c.Add(t, q, 1)
		wakeups.Await(t, whole)
		if r := MustRead(t, source, whole); r.Backlog() != int64(i+4) {
			t.Fatalf("after wake-up %d the queues read as %+v", i+1, r)
		}
	}
}

// order: one result for each query, in order, however they are mixed.
func (h Harness) order(t *testing.T) {
	t.Helper()
	source := h.open(t, h.Address)
	var queries []backlog.Query
	var want []int
	var cases []Case
	for n := range 4 {
		for _, c := range h.Cases {
			q := c.Query(t)
			if n > 0 {
				c.put(t, q, n)
			}
			queries, want, cases = append(queries, q), append(want, n), append(cases, c)
		}
	}
	// The same query twice in one batch is answered twice.
	last := len(queries) - 1
	queries, want, cases = append(queries, queries[last]), append(want, want[last]), append(cases, cases[last])
	for i, r := range Read(t, source, queries...) {
		if want[i] == 0 && !cases[i].isAbsent(r) || want[i] > 0 && !cases[i].holds(r, want[i]) {
			t.Errorf("query %d %+v reads as %+v, want %d", i, queries[i], r, want[i])
		}
	}
	if results := Read(t, source); len(results) != 0 {
		t.Errorf("no queries have %d results", len(results))
	}
}

func (h Harness) unknownLayout(t *testing.T) {
	t.Helper()
	source := h.open(t, h.Address)
	if r := Read(t, source, backlog.Query{Layout: "no such layout", Queue: "q"})[0]; r.Err == nil {
		t.Errorf("a layout that does not exist reads as %+v", r)
	}
}

func (h Harness) close(t *testing.T) {
	t.Helper()
	source := h.open(t, h.Address)
	h.wantRecovery(t, source)
	for range 2 {
		if err := source.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	if r := Read(t, source, h.Cases[0].Query(t))[0]; r.Err == nil {
		t.Errorf("a closed source reads %+v", r)
	}
	waker, ok := source.(backlog.Waker)
	if !ok {
		return
	}
	deadline := time.After(testTimeout)
	for {
		select {
		case _, open := <-waker.Wakes():
			if !open {
				return
			}
		case <-deadline:
			t.Fatal("a closed source does not close its wake-ups")
		}
	}
}

// contains reports whether a wake-up asks for a read of the query.
func contains(w backlog.Wake, q backlog.Query) bool {
	return w.Everything || slices.Contains(w.Queries, q)
}
