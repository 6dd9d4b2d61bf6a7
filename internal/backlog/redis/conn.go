package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// A conn is a network connection that notices its end at once, even while nobody
// waits for a reply. It matters because a server forgets which keys a connection
// has armed when the connection ends: nothing else would tell before the next read.
//
// It is used by one goroutine at a time, between begin and end; Close by any.
type conn struct {
	net.Conn

	// watched says that end was called and begin was not, so that a goroutine waits for
	// the end of the connection. It belongs to the goroutine that uses the connection.
	watched bool
	// resume tells that goroutine to wait, aside tells that it does not any more. Both
	// have room for one.
	resume, aside chan struct{}

	// failure is the first error of the network, which ended the connection: what is
	// tried afterwards fails for the same reason. Reads and writes set it.
	failure atomic.Pointer[error]

	closing sync.Once
	closed  chan struct{}
	// done is closed when onEnd has returned.
	done chan struct{}
}

// newConn takes over inner. onEnd is called once, on a goroutine of its own, when
// the connection has ended for whatever reason.
func newConn(inner net.Conn, onEnd func()) *conn {
	c := &conn{
		Conn:   inner,
		resume: make(chan struct{}, 1),
		aside:  make(chan struct{}, 1),
		closed: make(chan struct{}),
		done:   make(chan struct{}),
	}
	go func() {
		defer close(c.done)
		_ = c.watch()
		_ = c.Close()
		onEnd()
	}()
	return c
}

// watch returns when the connection has ended, by a panic of what checks its bytes too.
func (c *conn) watch() (err error) {
	defer backlog.Contain(&err)
	for {
		select {
		case <-c.resume:
		case <-c.closed:
			return nil
		}
		// Nothing was asked, so nothing can be received but the end. What is
		// received all the same means that both ends are out of step.
		if _, err := c.Read(make([]byte, 1)); !isTimeout(err) {
			return err
		}
		c.aside <- struct{}{}
	}
}

// begin lets the caller use the connection. If it has ended, using it fails.
func (c *conn) begin() {
	if !c.watched {
		return
	}
	c.watched = false
	_ = c.SetReadDeadline(time.Unix(1, 0))
	select {
	case <-c.aside:
	case <-c.closed:
	}
	_ = c.SetReadDeadline(time.Time{})
}

// end watches the connection until it is used again.
func (c *conn) end() {
	c.watched = true
	_ = c.SetReadDeadline(time.Time{})
	select {
	case c.resume <- struct{}{}:
	case <-c.closed:
	}
}

// Read receives. A connection that fails is closed.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	return n, c.failed(err)
}

// Write sends. A connection that fails is closed.
func (c *conn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	return n, c.failed(err)
}

// failed closes the connection if err ended it, and returns why it ended.
func (c *conn) failed(err error) error {
	if err == nil || isTimeout(err) {
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
func (c *conn) Close() error {
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

// dial connects to address, with TLS if the connection asks for it, bounded by ctx
// and by the dial timeout.
func dial(ctx context.Context, cfg *config, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, cfg.dialTimeout)
	defer cancel()
	dialer := net.Dialer{KeepAlive: keepAlive}
	inner, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	if cfg.tls == nil {
		return inner, nil
	}
	settings := cfg.tls.Clone()
	if settings.ServerName == "" {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			_ = inner.Close()
			return nil, fmt.Errorf("take the server name from %q: %w", address, err)
		}
		settings.ServerName = host
	}
	secure := tls.Client(inner, settings)
	if err := shakeHands(ctx, cfg.prober, secure, address); err != nil {
		_ = inner.Close()
		return nil, fmt.Errorf("shake hands by TLS: %w", err)
	}
	return secure, nil
}

// slowHandshake is how long a TLS handshake may take before a look is taken at what the
// address speaks. Redis without TLS does not answer one, and does not end it.
const slowHandshake = 300 * time.Millisecond

// shakeHands is HandshakeContext, which ends as soon as it is known that there is nobody
// to shake hands with.
func shakeHands(ctx context.Context, p *prober, secure *tls.Conn, address string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var looking sync.WaitGroup
	looking.Go(func() {
		timer := time.NewTimer(slowHandshake)
		defer timer.Stop()
		select {
		case <-timer.C:
			what := p.see(ctx, address, func(ctx context.Context) error { return speaksPlainly(ctx, address) })
			if what != nil {
				cancel(what)
			}
		case <-ctx.Done():
		}
	})
	err := secure.HandshakeContext(ctx)
	if err != nil && context.Cause(ctx) != nil {
		err = context.Cause(ctx)
	}
	cancel(nil)
	looking.Wait()
	return err
}

// keepAlive is how long a silent connection waits before TCP asks whether the other
// end is still there.
const keepAlive = 15 * time.Second
