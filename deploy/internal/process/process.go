// Package process starts programs for tests and stops them.
package process

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A Process is a running program. It is killed at the end of the test if it runs still.
type Process struct {
	cmd   *exec.Cmd
	log   *buffer
	ended chan struct{}
	// err is how it ended; it is written before ended is closed and read after.
	err error
}

// Start starts a program.
func Start(t testing.TB, name string, args ...string) *Process {
	t.Helper()
	p := &Process{cmd: exec.CommandContext(t.Context(), name, args...), log: &buffer{}, ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	p.cmd.WaitDelay = 5 * time.Second
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	go func() {
		defer close(p.ended)
		p.err = p.cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it may have ended
		<-p.ended
	})
	return p
}

// Log returns what the program has printed.
func (p *Process) Log() string { return p.log.String() }

// Terminate sends SIGTERM and waits. It returns how the program ended, nil if its exit code was 0.
func (p *Process) Terminate(limit time.Duration) error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("signal: %w", err)
	}
	select {
	case <-p.ended:
		return p.err
	case <-time.After(limit):
		return fmt.Errorf("still running %s after SIGTERM", limit)
	}
}

// Run runs a program to its end. The error holds what it printed.
func Run(ctx context.Context, name string, args ...string) error {
	if output, err := exec.CommandContext(ctx, name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("run %s: %w\n%s", name, err, output)
	}
	return nil
}

// FreeAddress returns an address of this machine on which no program listens. Its port is
// outside of the range from which systems choose ports of outgoing connections: such a
// connection could take it before the program that is to listen there.
func FreeAddress(t testing.TB) (address string, port int) {
	t.Helper()
	for range 1000 {
		port = 8100 + rand.IntN(3800)
		address = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", address)
		if err != nil {
			continue
		}
		if err := listener.Close(); err != nil {
			t.Fatal(err)
		}
		return address, port
	}
	t.Fatal("find a free port")
	return "", 0
}

// Poll calls f until it succeeds or the limit is over; then it returns f's last error.
func Poll(ctx context.Context, limit time.Duration, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := f(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait %s: %w", limit, err)
		case <-tick.C:
		}
	}
}

// A buffer is a bytes.Buffer for one writer and one reader at a time.
type buffer struct {
	mu     sync.Mutex // guards buffer: the program writes while a test reads
	buffer bytes.Buffer
}

// Write appends p.
func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

// String returns what was written so far.
func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}
