package rabbitmq

import (
	"context"
	"net"
	"strconv"
	"strings"
	"sync"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/network"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq/dialer"
)

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
	opened, w, err := c.cfg.Connect(c.life, address, c.cfg.Name, func(w *dialer.Wire) net.Conn { return w })
	if err != nil {
		return nil, dialer.Advised(err, before > 0)
	}
	s := newSession(opened, w, func(*session) { c.lost() })
	s.describe(opened.Properties)
	s.epoch += "#" + strconv.Itoa(before+1)
	return s, nil
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
	s.countsConsumers = dialer.AtLeast(version, 4, 3)
}
