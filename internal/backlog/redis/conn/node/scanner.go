package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/network"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/conn"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// scanTimeout bounds one answer on the scan connection.
const scanTimeout = 2 * time.Second

// A scanner is the connection to the server on which keys are searched. It is open only while
// there is something to search.
type scanner struct {
	node *Node
	// semaphore holds a value while a goroutine uses session. A channel and not a mutex,
	// because it is held over I/O.
	semaphore chan struct{}
	session   *session // owned by the holder of semaphore
}

func newScanner(n *Node) *scanner { return &scanner{node: n, semaphore: make(chan struct{}, 1)} }

// Scan runs one command on the scan connection. The error is that of the connection.
func (n *Node) Scan(ctx context.Context, c resp.Command) (resp.Reply, error) {
	return n.scanner.do(ctx, c)
}

// CloseScan closes the scan connection if it is not in use. Scan opens it again.
func (n *Node) CloseScan() { n.scanner.rest() }

func (s *scanner) do(ctx context.Context, c resp.Command) (resp.Reply, error) {
	if err := s.acquire(ctx); err != nil {
		return resp.Reply{}, err
	}
	defer func() { <-s.semaphore }()
	ctx, cancel := s.node.bind(ctx)
	defer cancel()
	answer, err := s.attempt(ctx, c)
	if errors.Is(err, errLost) && ctx.Err() == nil {
		// The connection had ended before, for instance while nothing was searched.
		answer, err = s.attempt(ctx, c)
	}
	if err != nil {
		return resp.Reply{}, s.node.cfg.Prober.Diagnose(ctx, s.node.address, s.node.cfg.TLS, err)
	}
	return answer, nil
}

func (s *scanner) acquire(ctx context.Context) error {
	select {
	case s.semaphore <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-s.node.life.Done():
		return conn.ErrClosed
	}
}

// attempt runs a command once, on a new session if there is none. The caller holds semaphore.
func (s *scanner) attempt(ctx context.Context, c resp.Command) (answer resp.Reply, err error) {
	defer func() {
		if err != nil {
			s.drop()
		}
	}()
	defer backlog.Contain(&err)
	fresh := s.session == nil || s.session.Ended()
	if fresh {
		s.drop()
		if s.session, err = s.open(ctx); err != nil {
			return resp.Reply{}, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, scanTimeout)
	defer cancel()
	replies, err := s.session.Do(ctx, []resp.Command{c}, nil)
	switch {
	case err == nil:
		return replies[0], nil
	case !fresh && ctx.Err() == nil && !network.IsTimeout(err):
		return resp.Reply{}, fmt.Errorf("%w: %w", errLost, err)
	default:
		return resp.Reply{}, err
	}
}

// open connects, and makes sure that the server is one that may be read. One that hangs up
// at what it is asked is not asked.
func (s *scanner) open(ctx context.Context) (*session, error) {
	n := s.node
	ctx, cancel := context.WithTimeout(ctx, n.cfg.DialTimeout+n.cfg.AnswerTimeout)
	defer cancel()
	if m := n.handshakeMode(); m != minimalHandshake {
		opened, err := s.connect(ctx, m)
		if err == nil || !network.IsHangUp(err) || n.cfg.Mode != conn.ModeStandalone {
			return opened, err
		}
	}
	opened, err := s.connect(ctx, minimalHandshake)
	if err == nil {
		opened.until = time.Now().Add(unknownLife)
	}
	return opened, err
}

func (s *scanner) connect(ctx context.Context, m handshakeMode) (*session, error) {
	n := s.node
	inner, err := conn.Open(ctx, n.cfg, n.cfg.Login, n.cfg.Database, n.address, func() {})
	if err != nil {
		return nil, err
	}
	opened := &session{Session: inner}
	if m == minimalHandshake {
		return opened, nil
	}
	defer context.AfterFunc(ctx, opened.Abort)()
	if err := opened.greet(ctx, n.cfg, m); err != nil {
		opened.Close()
		return nil, endOf(ctx, err)
	}
	return opened, nil
}

// drop ends the session, if there is one. The caller holds semaphore.
func (s *scanner) drop() {
	if s.session != nil {
		s.session.Close()
		s.session = nil
	}
}

// rest ends the session if it is not in use.
func (s *scanner) rest() {
	select {
	case s.semaphore <- struct{}{}:
		s.drop()
		<-s.semaphore
	default:
	}
}

// close ends the session for good. The node's life is over.
func (s *scanner) close() {
	s.semaphore <- struct{}{}
	s.drop()
	<-s.semaphore
}
