package redis

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// A seeker is the connection to one server on which keys are searched. It is its own, so
// that a page that the server is slow to answer delays no read. It is open only while
// there is something to look for.
type seeker struct {
	node *node
	// turn holds a value while a goroutine uses session. A channel and not a mutex, because
	// it is held over I/O.
	turn    chan struct{}
	session *session // owned by the holder of turn
}

func newSeeker(n *node) *seeker { return &seeker{node: n, turn: make(chan struct{}, 1)} }

// do runs one command. The error is that of the connection.
func (s *seeker) do(ctx context.Context, c resp.Command) (resp.Reply, error) {
	if err := s.take(ctx); err != nil {
		return resp.Reply{}, err
	}
	defer func() { <-s.turn }()
	ctx, cancel := s.node.bind(ctx)
	defer cancel()
	answer, err := s.attempt(ctx, c)
	if errors.Is(err, errLost) && ctx.Err() == nil {
		// The connection had ended before, for instance while nothing was looked for.
		answer, err = s.attempt(ctx, c)
	}
	if err != nil {
		return resp.Reply{}, s.node.cfg.prober.look(ctx, s.node.address, s.node.cfg.tls, err)
	}
	return answer, nil
}

func (s *seeker) take(ctx context.Context) error {
	select {
	case s.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-s.node.life.Done():
		return errClosed
	}
}

// attempt runs a command once, on a new session if there is none. The caller holds turn.
func (s *seeker) attempt(ctx context.Context, c resp.Command) (answer resp.Reply, err error) {
	defer func() {
		if err != nil {
			s.drop()
		}
	}()
	defer backlog.Contain(&err)
	fresh := s.session == nil || s.session.ended()
	if fresh {
		s.drop()
		if s.session, err = s.open(ctx); err != nil {
			return resp.Reply{}, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, findPageTimeout)
	defer cancel()
	replies, err := s.session.do(ctx, []resp.Command{c}, nil)
	switch {
	case err == nil:
		return replies[0], nil
	case !fresh && ctx.Err() == nil && !isTimeout(err):
		return resp.Reply{}, fmt.Errorf("%w: %w", errLost, err)
	default:
		return resp.Reply{}, err
	}
}

// open connects, and makes sure that the server is one that may be read. One that hangs up
// at what it is asked is not asked.
func (s *seeker) open(ctx context.Context) (*session, error) {
	n := s.node
	ctx, cancel := context.WithTimeout(ctx, n.cfg.dialTimeout+n.cfg.answerTimeout)
	defer cancel()
	if m := n.showManners(); m != plain {
		opened, err := s.connect(ctx, m)
		if err == nil || !isHangUp(err) || n.cfg.mode != modeStandalone {
			return opened, err
		}
	}
	opened, err := s.connect(ctx, plain)
	if err == nil {
		opened.until = time.Now().Add(plainLife)
	}
	return opened, err
}

func (s *seeker) connect(ctx context.Context, m manners) (*session, error) {
	n := s.node
	opened, err := openSession(ctx, n.cfg, n.cfg.login, n.cfg.database, n.address, func() {})
	if err != nil || m == plain {
		return opened, err
	}
	defer context.AfterFunc(ctx, opened.abort)()
	if err := opened.greet(ctx, n.cfg, m); err != nil {
		opened.close()
		return nil, ended(ctx, err)
	}
	return opened, nil
}

// drop ends the session, if there is one. The caller holds turn.
func (s *seeker) drop() {
	if s.session != nil {
		s.session.close()
		s.session = nil
	}
}

// rest ends the session if it is not in use.
func (s *seeker) rest() {
	select {
	case s.turn <- struct{}{}:
		s.drop()
		<-s.turn
	default:
	}
}

// close ends the session for good. The node's life is over.
func (s *seeker) close() {
	s.turn <- struct{}{}
	s.drop()
	<-s.turn
}
