package rabbitmq

import (
	"context"
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

// A connector has one session at a time, and opens it when it is needed.
type connector struct {
	network.Connector[*session]

	cfg *config
	// life ends with the source.
	life context.Context //nolint:containedctx // a session outlives the read that opens it
	// lost is called when a session ends.
	lost func()
}

// newConnector returns a connector without a session. tasks are the goroutines of the source.
func newConnector(life context.Context, cfg *config, tasks *sync.WaitGroup, lost func()) *connector {
	c := &connector{cfg: cfg, life: life, lost: lost}
	c.Addresses, c.Tasks, c.Open = cfg.addresses, tasks, c.open
	return c
}

// server returns the name and version of the server; empty before it was connected to.
func (c *connector) server() string {
	if s, has := c.Last(); has {
		return s.server
	}
	return ""
}

// open opens a session to one address.
func (c *connector) open(address string, before int) (*session, error) {
	opened, w, err := c.connect(address, c.cfg.name, func(w *wire) net.Conn { return w })
	if err != nil {
		return nil, advised(err, before > 0)
	}
	s := newSession(opened, w, func(*session) { c.lost() })
	s.describe(opened.Properties)
	s.epoch += "#" + strconv.Itoa(before+1)
	return s, nil
}

// connect returns an open connection to one address that the server shows by a name. filter returns
// what the library reads and writes.
func (c *connector) connect(address, name string, filter func(*wire) net.Conn) (*amqp.Connection, *wire, error) {
	dialling, cancel := context.WithTimeout(c.life, c.cfg.dial)
	defer cancel()
	conn, err := network.Dial(dialling, address, c.cfg.tls)
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
