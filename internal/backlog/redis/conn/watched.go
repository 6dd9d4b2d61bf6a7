package conn

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/network"
)

// A watchedConn is a network connection that notices its end at once, even while no caller
// waits for a reply. It matters because a server forgets which keys a connection
// has armed when the connection ends, and nothing else would show that before the next read.
//
// It is used by one goroutine at a time, between begin and end; Close by any.
type watchedConn struct {
	net.Conn

	// idle reports that end was called and begin was not, so that a goroutine waits for
	// the end of the connection. It belongs to the goroutine that uses the connection.
	idle bool
	// resume makes that goroutine wait, and aside is its answer that it does not any more.
	// Both have room for one.
	resume, aside chan struct{}

	// failure is the first error of the network, which ended the connection: what is
	// tried afterwards fails for the same reason. Reads and writes set it.
	failure atomic.Pointer[error]

	closing sync.Once
	closed  chan struct{}
	// done is closed when onEnd has returned.
	done chan struct{}
}

// watch takes over inner. onEnd is called once, on a goroutine of its own, when
// the connection has ended for whatever reason.
func watch(inner net.Conn, onEnd func()) *watchedConn {
	c := &watchedConn{
		Conn:   inner,
		resume: make(chan struct{}, 1),
		aside:  make(chan struct{}, 1),
		closed: make(chan struct{}),
		done:   make(chan struct{}),
	}
	go func() {
		defer close(c.done)
		_ = c.awaitEnd()
		_ = c.Close()
		onEnd()
	}()
	return c
}

// awaitEnd returns when the connection has ended, by a panic of what checks its bytes too.
func (c *watchedConn) awaitEnd() (err error) {
	defer backlog.Contain(&err)
	for {
		select {
		case <-c.resume:
		case <-c.closed:
			return nil
		}
		// Nothing was asked, so nothing can be received but the end. Anything
		// else that is received means that both ends are out of step.
		if _, err := c.Read(make([]byte, 1)); !network.IsTimeout(err) {
			return err
		}
		c.aside <- struct{}{}
	}
}

// begin lets the caller use the connection. If it has ended, using it fails.
func (c *watchedConn) begin() {
	if !c.idle {
		return
	}
	c.idle = false
	_ = c.SetReadDeadline(time.Unix(1, 0))
	select {
	case <-c.aside:
	case <-c.closed:
	}
	_ = c.SetReadDeadline(time.Time{})
}

// end watches the connection until it is used again.
func (c *watchedConn) end() {
	c.idle = true
	_ = c.SetReadDeadline(time.Time{})
	select {
	case c.resume <- struct{}{}:
	case <-c.closed:
	}
}

// Read receives. A connection that fails is closed.
func (c *watchedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	return n, c.failed(err)
}

// Write sends. A connection that fails is closed.
func (c *watchedConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	return n, c.failed(err)
}

// failed closes the connection if err ended it, and returns why it ended.
func (c *watchedConn) failed(err error) error {
	if err == nil || network.IsTimeout(err) {
		return err
	}
	if !errors.Is(err, net.ErrClosed) {
		c.failure.CompareAndSwap(nil, &err)
	}
	_ = c.Close()
	if first := c.failure.Load(); first != nil {
		return *first
	}
	return err
}

// Close ends the connection. It is idempotent.
func (c *watchedConn) Close() error {
	err := net.ErrClosed
	c.closing.Do(func() {
		close(c.closed)
		err = c.Conn.Close()
	})
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
