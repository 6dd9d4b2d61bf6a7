// Package processtest holds what servers of tests share that run as processes.
package processtest

import (
	"syscall"
	"testing"
)

// A Freezer freezes the server that embeds it. Make it with NewFreezer.
type Freezer struct{ signal func(syscall.Signal) error }

// NewFreezer returns a Freezer of the process, or of the processes, to which signal sends a signal. After
// SIGSTOP it must return only when all of them have stopped, as childprocess.Process does.
func NewFreezer(signal func(syscall.Signal) error) Freezer { return Freezer{signal} }

// Freeze stops the server as a paused virtual machine is stopped: connections stay open, new ones are
// accepted, and nothing is answered. Thaw, or the end of the test, lets it go on.
func (f Freezer) Freeze(t testing.TB) {
	t.Helper()
	f.send(t, syscall.SIGSTOP)
	t.Cleanup(func() { _ = f.signal(syscall.SIGCONT) }) // it may have ended
}

// Thaw lets a frozen server go on. It is idempotent.
func (f Freezer) Thaw(t testing.TB) {
	t.Helper()
	f.send(t, syscall.SIGCONT)
}

func (f Freezer) send(t testing.TB, signal syscall.Signal) {
	t.Helper()
	if err := f.signal(signal); err != nil {
		t.Fatal(err)
	}
}
