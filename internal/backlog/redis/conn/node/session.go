package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/network"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/conn"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// firstUnknown and unknownLife bound how long a server is read that could not be asked what it is,
// before it is asked again. It doubles: what was taken for a proxy is most often a server that was
// starting.
const firstUnknown, unknownLife = time.Second, time.Minute

// A session is a connection on which the server is read, and what is known of the server.
type session struct {
	*conn.Session

	// tracked is the subscriber to which the server reports changes of the keys that were
	// read in this session; nil if the server does not track.
	tracked *subscriber
	// checked is when the server was last checked, and unanswered holds the checks that it
	// refuses (check.bit).
	checked    time.Time
	unanswered uint16
	// swaps is how often databases of the server have been swapped.
	swaps string
	// until is when the session is to be replaced; zero is never.
	until time.Time
	// fresh reports that no command was run yet.
	fresh bool
}

// isExpired reports whether the session is to be replaced.
func (s *session) isExpired() bool { return !s.until.IsZero() && time.Now().After(s.until) }

// do runs one command. The error is that of the connection, or what the server answered.
func (s *session) do(ctx context.Context, args ...any) (resp.Reply, error) {
	replies, err := s.Do(ctx, []resp.Command{{Args: args}}, nil)
	if err != nil {
		return resp.Reply{}, err
	}
	return replies[0], replies[0].Err
}

// track asks the server to report changes of keys that are read in this session to sub, which
// is connected to the same server. The error may be the server's refusal.
func (s *session) track(ctx context.Context, sub *subscriber) error {
	s.tracked = nil
	if _, err := s.do(ctx, "CLIENT", "TRACKING", "ON", "REDIRECT", sub.ID); err != nil {
		return err
	}
	s.tracked = sub
	return nil
}

// untrack ends track. The server would go on to keep the keys that are read here, for a
// subscriber that is gone.
func (s *session) untrack(ctx context.Context) error {
	s.tracked = nil
	_, err := s.do(ctx, "CLIENT", "TRACKING", "OFF")
	return err
}

// openSession returns the session, a new one if it has ended. The caller holds semaphore.
func (n *Node) openSession(ctx context.Context) (*session, error) {
	alive := n.session != nil && !n.session.Ended()
	if alive && !n.session.isExpired() {
		return n.session, nil
	}
	s, err := n.connect(ctx)
	if err != nil && n.mayBeProxy(err) {
		if alive {
			// The data is still that of this connection.
			n.session.until = n.nextQuestion()
			return n.session, nil
		}
		s, err = n.connectUnknown(ctx)
	}
	if err != nil && alive && ctx.Err() != nil {
		return nil, err
	}
	n.closeSession()
	if err != nil {
		return nil, err
	}
	s.fresh = true
	s.MarkUsed()
	n.session = s
	n.mu.Lock()
	n.server, n.reader = *s.Server, s
	n.mu.Unlock()
	n.retryListening()
	return s, nil
}

// connect opens a session and finds out which server is at the other end. A server that hangs up
// twice at what it is asked is asked less.
func (n *Node) connect(ctx context.Context) (s *session, err error) {
	for _, m := range []handshakeMode{fullHandshake, fullHandshake, namelessHandshake} {
		s, err = n.connectWith(ctx, func(ctx context.Context, s *session) error { return s.greet(ctx, n.cfg, m) })
		if err != nil && n.mayBeProxy(err) {
			continue
		}
		n.setHandshakeMode(m)
		if err == nil {
			n.unknown = 0
		}
		return s, err
	}
	return nil, err
}

// mayBeProxy reports whether an error is that of a proxy which hangs up at what it does not know.
func (n *Node) mayBeProxy(err error) bool {
	return network.IsHangUp(err) && !errors.Is(err, errNotTracked) && n.cfg.Mode == conn.ModeStandalone
}

// connectUnknown opens a session with a server that is asked nothing.
func (n *Node) connectUnknown(ctx context.Context) (*session, error) {
	n.setHandshakeMode(minimalHandshake)
	return n.connectWith(ctx, func(_ context.Context, s *session) error {
		s.Server, s.unanswered = new(conn.UnknownServer()), ^uint16(0)
		s.until = n.nextQuestion()
		return nil
	})
}

// nextQuestion returns when an unknown server is asked again. The caller holds semaphore.
func (n *Node) nextQuestion() time.Time {
	n.unknown = min(max(firstUnknown, 2*n.unknown), unknownLife)
	return time.Now().Add(n.unknown)
}

// connectWith opens a session, runs a handshake on it and switches tracking on.
func (n *Node) connectWith(ctx context.Context, handshake func(context.Context, *session) error) (*session, error) {
	opened, err := conn.Open(ctx, n.cfg, n.cfg.Login, n.cfg.Database, n.address, n.waker.WakeAll)
	if err != nil {
		return nil, err
	}
	s := &session{Session: opened}
	if err := n.introduce(ctx, s, handshake); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// introduce runs a handshake on s and switches tracking on.
func (n *Node) introduce(ctx context.Context, s *session, handshake func(context.Context, *session) error) error {
	defer context.AfterFunc(ctx, s.Abort)()
	if err := handshake(ctx, s); err != nil {
		return endOf(ctx, err)
	}
	sub := n.currentSubscriber()
	if sub == nil {
		return nil
	}
	err := s.join(ctx, sub)
	if err != nil && isLost(err) {
		return fmt.Errorf("%w: %w", errNotTracked, endOf(ctx, err))
	}
	if err != nil {
		// The session is of use without it; the subscriber is not.
		sub.end(err)
	}
	return nil
}

// errNotTracked is a session that was lost while tracking was switched on.
var errNotTracked = errors.New("switch tracking on")

// isLost reports whether err comes from a connection that failed, and not from what was
// said on it.
func isLost(err error) bool {
	_, unsupported := errors.AsType[unsupportedError](err)
	return !resp.IsServerError(err) && !unsupported && !errors.Is(err, errOtherRun)
}

// endOf returns why ctx has ended, or that the answer did not come in time. Else it returns
// err, which a connection returns that was closed for one of these reasons.
func endOf(ctx context.Context, err error) error {
	switch {
	case context.Cause(ctx) != nil:
		return context.Cause(ctx)
	case network.IsTimeout(err):
		return context.DeadlineExceeded
	default:
		return err
	}
}

// closeSession ends the session, if there is one. The caller holds semaphore.
func (n *Node) closeSession() {
	if n.session != nil {
		n.session.Close()
		n.session = nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.reader = nil
}

// hasSession reports whether there is a session that works.
func (n *Node) hasSession() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.reader != nil && !n.reader.Ended()
}
