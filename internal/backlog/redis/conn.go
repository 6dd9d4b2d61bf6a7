package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"
)

// chunkSize is the size of the receive buffer of a conn, in bytes. A pipeline of 10,000
// counts is answered with about 50 kB.
const chunkSize = 64 << 10

// A conn is a network connection that notices its end at once, even while nobody
// waits for a reply. It matters because a server forgets which keys a connection
// has armed when the connection ends: nothing else would tell before the next read.
//
// Read, Write and the deadlines are used by one goroutine at a time; Close by any.
type conn struct {
	net.Conn

	// full and spare pass the buffer between the pump and Read. There is only one: while
	// a pipeline is written, the first answers wait in it and the others in the system,
	// to be received together.
	full, spare chan []byte
	// chunk is what Read empties, rest what is left of it. Read owns both.
	chunk, rest []byte
	// deadline is that of Read, owned by the goroutine that reads.
	deadline time.Time

	closing sync.Once
	closed  chan struct{}
	// ended is closed when the pump has returned; err is written before.
	ended chan struct{}
	// done is closed when onEnd has returned.
	done chan struct{}
	err  error
}

// newConn takes over inner. onEnd is called once, on a goroutine of its own, when
// the connection has ended for whatever reason.
func newConn(inner net.Conn, onEnd func()) *conn {
	c := &conn{
		Conn:   inner,
		full:   make(chan []byte, 1),
		spare:  make(chan []byte, 1),
		closed: make(chan struct{}),
		ended:  make(chan struct{}),
		done:   make(chan struct{}),
	}
	c.spare <- make([]byte, chunkSize)
	go func() {
		defer close(c.done)
		c.err = c.pump()
		close(c.ended)
		_ = c.Close()
		onEnd()
	}()
	return c
}

// pump receives until the connection ends.
func (c *conn) pump() error {
	for {
		var buffer []byte
		select {
		case buffer = <-c.spare:
		case <-c.closed:
			return net.ErrClosed
		}
		n, err := c.Conn.Read(buffer)
		if n > 0 {
			c.full <- buffer[:n]
		} else {
			c.spare <- buffer
		}
		if err != nil {
			return err
		}
	}
}

// Read returns what the pump has received, waiting until the read deadline.
func (c *conn) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		chunk, err := c.next()
		if err != nil {
			return 0, err
		}
		c.chunk, c.rest = chunk, chunk
	}
	n := copy(p, c.rest)
	if c.rest = c.rest[n:]; len(c.rest) == 0 {
		c.spare <- c.chunk[:chunkSize]
		c.chunk = nil
	}
	return n, nil
}

func (c *conn) next() ([]byte, error) {
	var expired <-chan time.Time
	if !c.deadline.IsZero() {
		timer := time.NewTimer(time.Until(c.deadline))
		defer timer.Stop()
		expired = timer.C
	}
	select {
	case chunk := <-c.full:
		return chunk, nil
	case <-expired:
		return nil, os.ErrDeadlineExceeded
	case <-c.ended:
	}
	// The pump may have received something before the connection ended.
	select {
	case chunk := <-c.full:
		return chunk, nil
	default:
		return nil, c.err
	}
}

// SetDeadline sets both deadlines. It does not touch a Read that already waits.
func (c *conn) SetDeadline(t time.Time) error {
	c.deadline = t
	return c.SetWriteDeadline(t)
}

// SetReadDeadline does not touch a Read that already waits.
func (c *conn) SetReadDeadline(t time.Time) error {
	c.deadline = t
	return nil
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
	network := "tcp"
	if strings.HasPrefix(address, "/") {
		network = "unix"
	}
	inner, err := dialer.DialContext(ctx, network, address)
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
			return nil, errors.Join(fmt.Errorf("take the server name from %q: %w", address, err), inner.Close())
		}
		settings.ServerName = host
	}
	secure := tls.Client(inner, settings)
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("shake hands by TLS: %w", err), inner.Close())
	}
	return secure, nil
}

// keepAlive is how long a silent connection waits before TCP asks whether the other
// end is still there.
const keepAlive = 15 * time.Second
