package redis

import (
	"context"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

const (
	// addressInterval is how often it is looked whether the address of a server still leads
	// there. Connections that are open stay at a server which a balancer or a Service of
	// Kubernetes has replaced, as long as it lives.
	addressInterval = 10 * time.Second
	// addressLooks is how many new connections in a row must lead elsewhere. Where an
	// address leads to several servers at a time, one of them leads back as a rule.
	addressLooks = 5
)

// watchAddress ends both connections when the address leads to another server, until ctx
// ends. It can tell only where servers name their run.
func (n *node) watchAddress(ctx context.Context) {
	ticker := time.NewTicker(addressInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if known, leads := n.leadsElsewhere(ctx); leads {
			n.leave(ctx, known)
		}
	}
}

// leadsElsewhere reports whether new connections lead to another server than known, which
// is the one that is read.
func (n *node) leadsElsewhere(ctx context.Context) (known resp.Server, leads bool) {
	if !n.reads() {
		return known, false
	}
	n.mu.Lock()
	known = n.server
	n.mu.Unlock()
	if known.RunID == "" {
		return known, false
	}
	for range addressLooks {
		now, err := n.glance(ctx)
		if err != nil || now.RunID == "" || now.IsSame(known) {
			return known, false
		}
	}
	return known, true
}

// glance asks the server that answers at the address who it is, on a connection of its own.
func (n *node) glance(ctx context.Context) (id resp.Server, err error) {
	defer backlog.Contain(&err)
	ctx, cancel := context.WithTimeout(ctx, n.cfg.dialTimeout+n.cfg.answerTimeout)
	defer cancel()
	s, err := openSession(ctx, n.cfg, n.cfg.login, n.cfg.database, n.address, func() {})
	if err != nil {
		return id, err
	}
	defer s.close()
	replies, err := s.do(ctx, []resp.Command{{Args: []any{"INFO", "server"}}}, nil)
	if err != nil {
		return id, err
	}
	return newIdentity(resp.Text(replies[0].Value)), nil
}

// leave ends the connections to a server that the address does not lead to any more.
func (n *node) leave(ctx context.Context, old resp.Server) {
	if n.take(ctx) != nil {
		return
	}
	defer n.release()
	if n.session == nil || !n.session.server.IsSame(old) {
		return
	}
	n.log.Info("the address leads to another server")
	if e := n.hearing(); e != nil {
		e.end(errElsewhere)
	}
	n.drop()
	n.wakes.addEverything()
}
