package node

import (
	"context"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/conn"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

const (
	// addressInterval is how often it is checked whether the address of a server still leads
	// there. Connections that are open stay at a server which a balancer or a Service of
	// Kubernetes has replaced, as long as it lives.
	addressInterval = 10 * time.Second
	// addressProbes is how many new connections in a row must lead elsewhere. Where an
	// address leads to several servers at a time, one of them leads back as a rule.
	addressProbes = 5
)

// watchAddress ends both connections when the address leads to another server, until ctx
// ends. It can find that out only where servers name their run.
func (n *Node) watchAddress(ctx context.Context) {
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
func (n *Node) leadsElsewhere(ctx context.Context) (known resp.Server, leads bool) {
	if !n.hasSession() {
		return known, false
	}
	n.mu.Lock()
	known = n.server
	n.mu.Unlock()
	if known.RunID == "" {
		return known, false
	}
	for range addressProbes {
		now, err := n.identify(ctx)
		if err != nil || now.RunID == "" || now.IsSame(known) {
			return known, false
		}
	}
	return known, true
}

// identify asks which server answers at the address, on a connection of its own.
func (n *Node) identify(ctx context.Context) (server resp.Server, err error) {
	defer backlog.Contain(&err)
	ctx, cancel := context.WithTimeout(ctx, n.cfg.DialTimeout+n.cfg.AnswerTimeout)
	defer cancel()
	s, err := conn.Open(ctx, n.cfg, n.cfg.Login, n.cfg.Database, n.address, func() {})
	if err != nil {
		return server, err
	}
	defer s.Close()
	replies, err := s.Do(ctx, []resp.Command{{Args: []any{"INFO", "server"}}}, nil)
	if err != nil {
		return server, err
	}
	return conn.Identify(resp.Text(replies[0].Value)), nil
}

// leave ends the connections to a server that the address does not lead to any more.
func (n *Node) leave(ctx context.Context, old resp.Server) {
	if n.acquire(ctx) != nil {
		return
	}
	defer n.release()
	if n.session == nil || !n.session.Server.IsSame(old) {
		return
	}
	n.log.Info("the address leads to another server")
	if sub := n.currentSubscriber(); sub != nil {
		sub.end(errOtherRun)
	}
	n.closeSession()
	n.waker.WakeAll()
}
