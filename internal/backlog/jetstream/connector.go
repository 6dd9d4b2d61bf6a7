package jetstream

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/network"
)

// pingInterval is the time between two heartbeats of the library. maxPings may be unanswered.
const (
	pingInterval = 2 * time.Second
	maxPings     = 2
)

// A connector has one session at a time, and opens it when it is needed. The library does not connect
// again by itself, because what is subscribed on one connection is not armed on another.
type connector struct {
	network.Connector[*session]

	cfg *config
	// life ends with the source.
	life context.Context //nolint:containedctx // a session outlives the read that opens it
	// alarms wake queries that may have changed, and lost is called when a session ends.
	alarms *alarms
	lost   func()
}

// newConnector returns a connector without a session. tasks are the goroutines of the source.
func newConnector(life context.Context, cfg *config, tasks *sync.WaitGroup, a *alarms, lost func()) *connector {
	c := &connector{cfg: cfg, life: life, alarms: a, lost: lost}
	c.Addresses, c.Tasks = cfg.addresses, tasks
	c.Open = func(address string, opened int) (*session, error) {
		s, err := c.open(address)
		if err != nil {
			return nil, advised(err, opened > 0)
		}
		return s, nil
	}
	return c
}

// existing returns the last session, which may have ended; nil if there was none.
func (c *connector) existing() *session {
	s, _ := c.Last()
	return s
}

// open opens a session to one address.
func (c *connector) open(address string) (s *session, err error) {
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
		s.Close(false)
		return nil, err
	}
	return s, nil
}
