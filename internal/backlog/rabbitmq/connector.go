package rabbitmq

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/network"
)

// minHandshake is the least bound of the handshake. It is longer than a server waits before it
// refuses a login, so that a wrong password is recognised.
const minHandshake = 6 * time.Second

// frameSize is the largest frame that the server may send, in bytes. RabbitMQ's own is 128 KiB.
const frameSize = 128 << 10

// A connector opens one session at a time, when it is needed.
type connector struct {
	cfg *config
	// life ends with the source, and tasks are its goroutines.
	life  context.Context //nolint:containedctx // a session outlives the read that opens it
	tasks *sync.WaitGroup
	// lost is called when a session ends.
	lost func()

	// mu guards what follows.
	mu      sync.Mutex
	current *session
	// attempt is the one that is under way; nil if none is.
	attempt *attempt
	// next is the address to try first, and opened the number of sessions so far.
	next, opened int
	closed       bool
}

// An attempt is to open a session. What it yields is valid once done is closed.
type attempt struct {
	done    chan struct{}
	session *session
	err     error
}

// session returns the session, and opens one if there is none.
func (c *connector) session(ctx context.Context) (*session, error) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil, fmt.Errorf("%w: the source is closed", backlog.ErrUnavailable)
	}
	if s := c.current; s != nil && s.alive() {
		c.mu.Unlock()
		return s, nil
	}
	a := c.attempt
	if a == nil {
		a = &attempt{done: make(chan struct{})}
		c.attempt = a
		c.tasks.Go(func() { c.try(a) }) //nolint:contextcheck // a session outlives the read that opens it
	}
	c.mu.Unlock()
	select {
	case <-a.done:
		return a.session, a.err
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: connecting takes longer: %w", backlog.ErrUnavailable, ctx.Err())
	}
}

// server returns the name and version of the server; empty before it was connected to.
func (c *connector) server() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current == nil {
		return ""
	}
	return c.current.server
}

// try opens a session to the first address that answers, beginning with the one that answered last.
func (c *connector) try(a *attempt) {
	c.mu.Lock()
	first, old, worked := c.next, c.current, c.opened > 0
	c.mu.Unlock()
	if old != nil {
		old.close(false)
	}
	n := len(c.cfg.addresses)
	for i := range n {
		at := (first + i) % n
		a.session, a.err = c.open(c.cfg.addresses[at])
		if a.err == nil {
			c.mu.Lock()
			c.next, c.current = at, a.session
			c.opened++
			a.session.epoch = a.session.epoch + "#" + strconv.Itoa(c.opened)
			c.mu.Unlock()
			break
		}
		a.err = advised(a.err, worked)
	}
	c.mu.Lock()
	c.attempt = nil
	c.mu.Unlock()
	close(a.done)
}

// open opens a session to one address.
func (c *connector) open(address string) (s *session, err error) {
	defer backlog.Contain(&err)
	opened, w, err := c.connect(address, c.cfg.name, func(w *wire) net.Conn { return w })
	if err != nil {
		return nil, err
	}
	s = newSession(opened, w, func(*session) { c.lost() })
	s.describe(opened.Properties)
	return s, nil
}

// connect returns an open connection to one address that the server shows by a name. filter returns
// what the library reads and writes.
func (c *connector) connect(address, name string, filter func(*wire) net.Conn) (*amqp.Connection, *wire, error) {
	conn, err := c.dial(address)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: connect to %s: %w", backlog.ErrUnavailable, address, err)
	}
	w := newWire(conn)
	// The library knows no context: only the end of the connection ends its handshake.
	defer context.AfterFunc(c.life, func() { _ = w.Close() })()
	_ = w.SetDeadline(time.Now().Add(max(c.cfg.answer, minHandshake))) // a closed connection fails next
	opened, err := amqp.Open(filter(w), amqp.Config{
		SASL: []amqp.Authentication{c.cfg.mechanism()}, Vhost: c.cfg.vhost, Heartbeat: c.cfg.heartbeat,
		FrameSize: frameSize, Locale: "en_US",
		Properties: amqp.Table{"product": "backlog-scaler", "connection_name": name},
	})
	if err != nil {
		_ = w.Close()
		return nil, nil, handshakeFailure(w, err)
	}
	return opened, w, nil
}

// address returns the address that answered last.
func (c *connector) address() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cfg.addresses[c.next]
}

// dial connects to an address, with TLS if the settings ask for it.
func (c *connector) dial(address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(c.life, c.cfg.dial)
	defer cancel()
	dialer := net.Dialer{}
	inner, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil || c.cfg.tls == nil {
		return inner, err
	}
	secure := c.cfg.tls.Clone()
	if secure.ServerName == "" {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			_ = inner.Close()
			return nil, fmt.Errorf("take the server name: %w", err)
		}
		secure.ServerName = host
	}
	outer := tls.Client(inner, secure)
	if err := outer.HandshakeContext(ctx); err != nil {
		_ = inner.Close()
		if network.IsPlaintext(err) {
			err = errSpeaksPlainly
		}
		return nil, fmt.Errorf("negotiate TLS: %w", err)
	}
	return outer, nil
}

// close ends the session. The attempt that is under way ends with life.
func (c *connector) close() {
	c.mu.Lock()
	c.closed = true
	a, s := c.attempt, c.current
	c.mu.Unlock()
	if a != nil {
		<-a.done
		s = a.session
	}
	if s != nil {
		s.close(true)
	}
}

// maxName is how many bytes of a server's name, version or cluster are kept.
const maxName = 60

// describe takes over what the server says about itself.
func (s *session) describe(properties amqp.Table) {
	text := func(name string) string {
		value, _ := properties[name].(string)
		return backlog.Line(value[:min(len(value), maxName)])
	}
	version := text("version")
	s.server = strings.TrimSpace(strings.ToLower(text("product")) + " " + version)
	s.epoch = text("cluster_name")
	s.countsConsumers = atLeast(version, 4, 3)
}

// atLeast reports whether a version, such as "4.3.6", is the given one or later.
func atLeast(version string, major, minor int) bool {
	first, rest, _ := strings.Cut(version, ".")
	second, _, _ := strings.Cut(rest, ".")
	x, err1 := strconv.Atoi(first)
	y, err2 := strconv.Atoi(second)
	return err1 == nil && err2 == nil && (x > major || x == major && y >= minor)
}
