package jetstream

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// pingInterval is the time between two heartbeats of the library. maxPings may be unanswered.
const (
	pingInterval = 2 * time.Second
	maxPings     = 2
)

// A connector opens one session at a time, when it is needed. The library does not connect again by
// itself, because what is subscribed on one connection is not armed on another.
type connector struct {
	cfg *config
	// life ends with the source, and tasks are its goroutines.
	life  context.Context //nolint:containedctx // a session outlives the read that opens it
	tasks *sync.WaitGroup
	// alarms wake queries that may have changed, and lost is called when a session ends.
	alarms *alarms
	lost   func()

	// mu guards what follows.
	mu      sync.Mutex
	current *session
	// attempt is the one that is under way; nil if none is.
	attempt *attempt
	// next is the address to try first, and worked reports that there was a session.
	next   int
	worked bool
	closed bool
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
	if s := c.current; s != nil && s.isOpen() {
		c.mu.Unlock()
		return s, nil
	}
	a := c.attempt
	if a == nil {
		a = &attempt{done: make(chan struct{})}
		c.attempt = a
		c.tasks.Go(func() { c.try(a) })
	}
	c.mu.Unlock()
	select {
	case <-a.done:
		return a.session, a.err
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: connecting takes longer: %w", backlog.ErrUnavailable, ctx.Err())
	}
}

// existing returns the session; nil if there is none.
func (c *connector) existing() *session {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.current
}

// try opens a session to the first address that answers, beginning with the one that answered last.
func (c *connector) try(a *attempt) {
	c.mu.Lock()
	first, old, worked := c.next, c.current, c.worked
	c.mu.Unlock()
	if old != nil {
		old.close()
	}
	n := len(c.cfg.addresses)
	for i := range n {
		at := (first + i) % n
		a.session, a.err = c.open(c.cfg.addresses[at])
		if a.err == nil {
			c.mu.Lock()
			c.next, c.current, c.worked = at, a.session, true
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
	g, hello, err := c.cfg.connect(c.life, address)
	if err != nil {
		return nil, fmt.Errorf("%w: connect to %s: %w", backlog.ErrUnavailable, address, err)
	}
	defer func() {
		if err != nil {
			_ = g.Close()
		}
	}()
	// The library knows no context: only the end of the connection ends the login.
	defer context.AfterFunc(c.life, func() { _ = g.Close() })()
	s = newSession(c.cfg, g, hello, c.alarms, c.lost)
	options := append([]nats.Option{
		nats.SetCustomDialer(dialled{g}), nats.SkipHostLookup(), nats.NoReconnect(), nats.Name(c.cfg.name),
		nats.Timeout(max(c.cfg.dial, minHandshake)), nats.FlusherTimeout(c.cfg.answer),
		nats.PingInterval(pingInterval), nats.MaxPingsOutstanding(maxPings),
		nats.ErrorHandler(s.failed), nats.ClosedHandler(s.closedByLibrary),
	}, c.cfg.login...)
	g.login.Store(true)
	conn, err := nats.Connect("nats://"+address, options...)
	g.login.Store(false)
	if err != nil {
		return nil, loginFailure(g, err)
	}
	if err := s.begin(c.life, conn); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
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
		s.close()
	}
}
