package oracle_test

import (
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/soak/oracle"
)

// at is the moment so many seconds after the start of a history.
func at(seconds float64) time.Time {
	return time.Unix(1_000_000_000, 0).Add(time.Duration(seconds * float64(time.Second)))
}

func TestBounds(t *testing.T) {
	t.Parallel()
	type want struct {
		from, to float64
		lo, hi   int64
	}
	for name, c := range map[string]struct {
		write func(*oracle.History)
		want  []want
	}{
		"a write under way": {
			func(h *oracle.History) {
				h.Begin(at(1), 0, 3).Done(at(2), 3)
				h.Begin(at(5), 1, 0).Done(at(6), -1)
			},
			[]want{{0, 0.5, 0, 0}, {1, 1.5, 0, 3}, {1.5, 2, 0, 3}, {2, 4, 3, 3}, {0, 10, 0, 3}, {5, 5, 2, 3}, {6, 7, 2, 2}},
		},
		"a moved message may be seen twice": {
			func(h *oracle.History) {
				h.Begin(at(1), 0, 1).Done(at(1), 1)
				h.Begin(at(2), 0, 1).Done(at(3), 0)
			},
			[]want{{2, 2.5, 1, 2}, {3, 4, 1, 1}},
		},
		"a lost answer": {
			func(h *oracle.History) { h.Begin(at(1), 0, 2).Lost() },
			[]want{{0, 0.5, 0, 0}, {2, 100, 0, 2}},
		},
		"a lost answer, and the queue is emptied": {
			func(h *oracle.History) {
				h.Begin(at(1), 0, 2).Lost()
				h.Empty(at(10))(at(11))
			},
			[]want{{9, 9, 0, 2}, {10, 10.5, 0, 2}, {11, 12, 0, 0}},
		},
		"a message that is due later": {
			func(h *oracle.History) { h.Confirm(h.Later(at(5), 100*time.Millisecond)) },
			[]want{{0, 4.8, 0, 0}, {4.95, 4.95, 0, 1}, {5.2, 9, 1, 1}, {0, 9, 0, 1}},
		},
		"a message that is due later, whose answer was lost": {
			func(h *oracle.History) { h.Later(at(5), 0) },
			[]want{{0, 4.9, 0, 0}, {5, 9, 0, 1}},
		},
		"a message that was due is done": {
			func(h *oracle.History) {
				h.Confirm(h.Later(at(5), 0))
				h.Begin(at(7), 1, 0).Done(at(8), -1)
			},
			[]want{{6, 6, 1, 1}, {7, 7, 0, 1}, {8, 9, 0, 0}},
		},
		"what was to be due is gone when the queue is emptied": {
			func(h *oracle.History) {
				h.Confirm(h.Later(at(5), 0))
				h.Confirm(h.Later(at(20), 0))
				h.Empty(at(10))(at(11))
			},
			[]want{{9, 9, 1, 1}, {10, 10, 0, 1}, {11, 30, 0, 0}},
		},
		"more is allowed for a while": {
			func(h *oracle.History) { h.Allow(at(1), at(3), 1) },
			[]want{{0, 0.9, 0, 0}, {1, 2, 0, 1}, {3.5, 4, 0, 0}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := oracle.New(at(0))
			c.write(h)
			for _, w := range c.want {
				if lo, hi := h.Bounds(at(w.from), at(w.to)); lo != w.lo || hi != w.hi {
					t.Errorf("from %v s to %v s it held %d to %d, want %d to %d\n%s", w.from, w.to, lo, hi, w.lo, w.hi, h.Text(at(0), at(100), at(0)))
				}
			}
		})
	}
}

func TestLost(t *testing.T) {
	t.Parallel()
	h := oracle.New(at(0))
	h.Begin(at(1), 0, 1).Lost()
	if !h.Lost() {
		t.Error("a lost answer is forgotten")
	}
	done := h.Empty(at(2))
	if !h.Lost() {
		t.Error("a lost answer is forgotten before the queue is empty")
	}
	done(at(3))
	if h.Lost() {
		t.Error("a lost answer is remembered although the queue is empty")
	}
}

// TestForget: what is forgotten changes nothing of what comes later.
func TestForget(t *testing.T) {
	t.Parallel()
	h := oracle.New(at(0))
	h.Begin(at(1), 0, 4).Done(at(2), 4)
	h.Confirm(h.Later(at(3), 0))
	h.Confirm(h.Later(at(50), 0))
	h.Allow(at(4), at(5), 7)
	h.Begin(at(20), 1, 0).Done(at(21), -1)
	h.Forget(at(30))
	if lo, hi := h.Bounds(at(30), at(40)); lo != 4 || hi != 4 {
		t.Errorf("after forgetting it held %d to %d, want 4", lo, hi)
	}
	if lo, hi := h.Bounds(at(51), at(60)); lo != 5 || hi != 5 {
		t.Errorf("after forgetting it will hold %d to %d, want 5", lo, hi)
	}
	h.Empty(at(60))(at(61))
	if lo, hi := h.Bounds(at(61), at(70)); lo != 0 || hi != 0 {
		t.Errorf("after it was emptied it held %d to %d, want 0", lo, hi)
	}
}
