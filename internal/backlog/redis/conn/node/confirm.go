package node

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/conn"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// Confirm returns nil if every change was reported that the server made before the call. After
// the server has answered PING on the session and then on the subscriber, every earlier
// invalidation has arrived; SWAPDB, which is not reported, is asked for. The error is
// errors.ErrUnsupported where changes are not noticed by tracking. Keyspace notifications
// confirm nothing: their subscriber does not learn that another client switches them off.
func (n *Node) Confirm(ctx context.Context) (err error) {
	defer backlog.Contain(&err)
	if err := n.acquire(ctx); err != nil {
		return err
	}
	defer n.release()
	ctx, cancel := n.bind(ctx)
	defer cancel()
	sub := n.currentSubscriber()
	s := n.session
	if sub == nil || sub.whyEnded() != nil || sub.mode != conn.WakeTracking || s == nil || s.tracked != sub {
		return errors.ErrUnsupported
	}
	commands := []resp.Command{{Args: []any{"PING"}}}
	now := time.Now()
	checks, limits := n.questions(s, sub, true, now)
	for _, c := range checks {
		commands = append(commands, resp.Command{Args: c.args})
	}
	replies, err := s.Do(ctx, commands, nil)
	if err == nil {
		err = s.verify(checks, replies[1:])
	}
	if err == nil {
		n.setLimits(limits, now)
	}
	switch {
	case errors.Is(err, errSwapped):
		return err
	case err != nil:
		n.closeSession()
		return err
	case replies[0].Err != nil:
		return replies[0].Err
	}
	return sub.ping(ctx)
}

// ping waits for an answer on the subscriber: what the server had to report before has come by
// then. The caller holds the node's semaphore.
func (s *subscriber) ping(ctx context.Context) error {
	s.pings++
	payload := strconv.FormatUint(s.pings, 10)
	if err := s.Ping(ctx, payload); err != nil {
		return err
	}
	for {
		select {
		case pong := <-s.pongs:
			if pong == payload {
				return nil
			}
		case <-ctx.Done():
			return fmt.Errorf("wait for an answer on the listening connection: %w", context.Cause(ctx))
		}
	}
}

// keepPong keeps an answer for ping. It keeps the latest, because the one before may be to a
// ping that no caller waits for any more.
func (s *subscriber) keepPong(p conn.Pong) {
	if p.Payload == "" {
		// The listener itself has asked.
		return
	}
	select {
	case <-s.pongs:
	default:
	}
	select {
	case s.pongs <- p.Payload:
	default:
	}
}
