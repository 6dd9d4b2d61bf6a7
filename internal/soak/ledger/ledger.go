// Package ledger keeps the books of a queue that a soak writes: how many messages wait, how many
// are in flight, and what an answer that was lost may have changed. It is for engines whose queues
// need no more than that.
package ledger

import (
	"context"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/soak/oracle"
)

// The writes of queues.
const (
	Add    = "add"    // messages are enqueued
	Take   = "take"   // a worker takes one, so that it is in flight
	Finish = "finish" // a worker is done with one
	Drain  = "drain"  // workers are done with all
)

// Writes returns the writes of a queue, the frequent ones more than once.
func Writes(takes bool) []string {
	all := []string{Add, Add, Add, Finish, Finish, Drain}
	if takes {
		all = append(all, Take, Take)
	}
	return all
}

// A Writer writes a queue as its clients and workers do. After an error it is not known whether the
// write happened.
type Writer interface {
	// Add enqueues n messages.
	Add(ctx context.Context, n int) error
	// Take lets a worker take the oldest message that waits. It is not called for queues
	// without that write.
	Take(ctx context.Context) error
	// Finish finishes so many messages that are in flight, and so many that wait.
	Finish(ctx context.Context, taken, ready int) error
	// Empty removes all messages, those of writes whose answer was lost included.
	Empty(ctx context.Context) error
}

const (
	// writeTimeout bounds a write.
	writeTimeout = 5 * time.Second
	// apart is how far apart two writes of one queue are at least. The scaler may read a queue
	// in several steps, and count too few if messages come and go between two of them.
	apart = 200 * time.Millisecond
)

// A Ledger writes a queue and notes in its history what it does. One goroutine at a time uses it.
type Ledger struct {
	// History is what the queue held.
	History *oracle.History

	writer       Writer
	ready, taken int
	// written is when it was written last.
	written time.Time
	// closed reports that the servers do not take writes.
	closed bool
}

// New returns the ledger of a queue that is empty.
func New(writer Writer) *Ledger {
	return &Ledger{History: oracle.New(time.Now()), writer: writer}
}

// Close leaves out writes until Open. Those to servers that do not run would block until their end.
func (l *Ledger) Close() { l.closed = true }

// Open undoes Close.
func (l *Ledger) Open() { l.closed = false }

// Restarted notes that the servers crashed and run again: messages in flight wait again, and up to
// so many that were finished may be back.
func (l *Ledger) Restarted(back int) {
	l.ready, l.taken = l.ready+l.taken, 0
	if back > 0 {
		l.History.Begin(time.Now(), 0, int64(back)).Lost()
	}
}

// Write writes n messages in one of the ways. It returns false if there was nothing to do.
func (l *Ledger) Write(ctx context.Context, write string, n int) (done bool) {
	if l.closed || time.Since(l.written) < apart {
		return false
	}
	defer func() { l.written = time.Now() }()
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	if l.History.Lost() {
		return l.empty(ctx)
	}
	switch write {
	case Add:
		l.add(ctx, n)
		return true
	case Take:
		return l.take(ctx)
	case Finish:
		return l.finish(ctx, 1)
	default:
		return l.finish(ctx, l.ready+l.taken)
	}
}

func (l *Ledger) add(ctx context.Context, n int) {
	change := l.History.Begin(time.Now(), 0, int64(n))
	if l.writer.Add(ctx, n) != nil {
		change.Lost()
		return
	}
	change.Done(time.Now(), int64(n))
	l.ready += n
}

func (l *Ledger) take(ctx context.Context) bool {
	if l.ready == 0 {
		return false
	}
	// While it is moved it may be seen twice.
	change := l.History.Begin(time.Now(), 0, 1)
	if l.writer.Take(ctx) != nil {
		change.Lost()
		return true
	}
	change.Done(time.Now(), 0)
	l.ready, l.taken = l.ready-1, l.taken+1
	return true
}

// finish finishes n messages, those in flight first.
func (l *Ledger) finish(ctx context.Context, n int) bool {
	taken := min(n, l.taken)
	ready := min(n-taken, l.ready)
	if taken+ready == 0 {
		return false
	}
	change := l.History.Begin(time.Now(), int64(taken+ready), 0)
	if l.writer.Finish(ctx, taken, ready) != nil {
		change.Lost()
		return true
	}
	change.Done(time.Now(), -int64(taken+ready))
	l.ready, l.taken = l.ready-ready, l.taken-taken
	return true
}

// empty removes all messages, after which it is known what the queue holds.
func (l *Ledger) empty(ctx context.Context) bool {
	done := l.History.Empty(time.Now())
	if l.writer.Empty(ctx) != nil {
		return false
	}
	done(time.Now())
	l.ready, l.taken = 0, 0
	return true
}
