package node

import (
	"context"
	"errors"
	"fmt"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/conn"
)

// invalidations is the channel on which a server reports which keys have changed that a
// tracked connection had read.
// https://redis.io/docs/latest/develop/reference/client-side-caching/
const invalidations = "__redis__:invalidate"

// listenByTracking is notified of the keys that the session read, by client tracking.
func (n *Node) listenByTracking(ctx context.Context, _ string) error {
	if err := n.checkRoom(ctx); err != nil {
		return err
	}
	s := &subscriber{mode: conn.WakeTracking, pongs: make(chan string, 1)}
	if err := n.subscribe(ctx, s); err != nil {
		return err
	}
	defer s.Close()
	if err := s.Subscribe(ctx, invalidations); err != nil {
		return fmt.Errorf("listen on %s: %w", invalidations, err)
	}
	if _, err := s.Receive(ctx, n.cfg.AnswerTimeout); err != nil {
		return unsupported(fmt.Errorf("client tracking: subscribing to %s: %w", invalidations, err))
	}
	n.attach(s)
	defer n.detach()
	if err := n.joinSession(ctx, s); err != nil {
		return err
	}
	n.setMode(conn.WakeTracking, "")
	n.setTableFull(false)
	err := n.receive(ctx, s)
	if _, isUnsupported := errors.AsType[unsupportedError](err); isUnsupported {
		n.untrackSession(ctx)
	}
	return err
}

// untrackSession ends the tracking of a session that has no subscriber any more.
func (n *Node) untrackSession(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, n.cfg.AnswerTimeout)
	defer cancel()
	if n.acquire(ctx) != nil {
		return
	}
	defer n.release()
	if s := n.session; s != nil && s.tracked != nil && s.untrack(ctx) != nil {
		n.closeSession()
	}
}
