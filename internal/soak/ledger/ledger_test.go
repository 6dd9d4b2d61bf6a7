package ledger_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/soak/ledger"
)

var errLost = errors.New("the answer was lost")

// A queue is one in memory, which loses answers on demand.
type queue struct {
	ready, taken int
	fails        bool
}

func (q *queue) answer() error {
	if q.fails {
		return errLost
	}
	return nil
}

// Add implements ledger.Writer.
func (q *queue) Add(_ context.Context, n int) error {
	q.ready += n
	return q.answer()
}

// Take implements ledger.Writer.
func (q *queue) Take(context.Context) error {
	q.ready, q.taken = q.ready-1, q.taken+1
	return q.answer()
}

// Finish implements ledger.Writer.
func (q *queue) Finish(_ context.Context, taken, ready int) error {
	q.ready, q.taken = q.ready-ready, q.taken-taken
	return q.answer()
}

// Empty implements ledger.Writer.
func (q *queue) Empty(context.Context) error {
	if q.fails {
		return errLost
	}
	q.ready, q.taken = 0, 0
	return nil
}

// TestLedger: the history has what the queue holds, and bounds of it while an answer is lost.
func TestLedger(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := &queue{}
		l := ledger.New(q)
		step := func(write string, n int, done bool, lo, hi int64) {
			t.Helper()
			time.Sleep(time.Second)
			if did := l.Write(t.Context(), write, n); did != done {
				t.Errorf("%s %d: done is %t, want %t", write, n, did, done)
			}
			now := time.Now()
			if least, most := l.History.Bounds(now, now); least != lo || most != hi {
				t.Errorf("after %s %d it held %d to %d, want %d to %d", write, n, least, most, lo, hi)
			}
			if held := int64(q.ready + q.taken); held < lo || held > hi {
				t.Errorf("after %s %d the queue holds %d, want %d to %d", write, n, held, lo, hi)
			}
		}
		step(ledger.Take, 1, false, 0, 0)
		step(ledger.Add, 3, true, 3, 3)
		step(ledger.Take, 1, true, 3, 3)
		step(ledger.Finish, 1, true, 2, 2)
		if q.taken != 0 {
			t.Errorf("%d messages are in flight after the one was finished", q.taken)
		}
		if l.Write(t.Context(), ledger.Add, 1) {
			t.Error("two writes at once")
		}
		q.fails = true
		step(ledger.Add, 2, true, 2, 4)
		step(ledger.Add, 2, false, 0, 4)
		q.fails = false
		step(ledger.Add, 2, true, 0, 0)
		step(ledger.Add, 5, true, 5, 5)
		l.Close()
		step(ledger.Drain, 1, false, 5, 5)
		l.Open()
		l.Restarted(1)
		q.ready++
		step(ledger.Drain, 1, true, 0, 0)
		step(ledger.Add, 1, true, 1, 1)
		l.Restarted(0)
		step(ledger.Drain, 1, true, 0, 0)
	})
}
