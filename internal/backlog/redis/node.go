package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// A node is one server: the session through which it is read and the listener that
// hears of changes.
type node struct {
	cfg     *config
	address string
	wakes   *wakes
	watch   *watchlist
	log     *slog.Logger

	// turn holds a value while somebody uses session: a reader, or the listener when
	// it switches tracking on. A channel and not a mutex, for it is held over I/O.
	turn    chan struct{}
	session *session // owned by the holder of turn
	// singly is until when the server is sent no transactions. It belongs to the holder of
	// turn.
	singly time.Time

	// retry tells a listener that gave up to try again.
	retry chan struct{}

	// hungUp counts, by the way of listening, how often in a row the server has ended the
	// connection at once. It belongs to the listener.
	hungUp map[string]int

	// life ends when the node is closed; tasks are its goroutines.
	life  context.Context //nolint:containedctx // the life of the node's own goroutine, not of a call
	end   context.CancelFunc
	tasks sync.WaitGroup

	// mu guards the state below: the listener and the holder of turn write it.
	mu     sync.Mutex
	ear    *ear // nil while nobody listens
	mode   string
	reason string
	server identity
	// plain is a server that hangs up at what is a courtesy.
	plain bool
}

func newNode(cfg *config, address string, wakes *wakes, watch *watchlist, log *slog.Logger) *node {
	n := &node{
		cfg: cfg, address: address, wakes: wakes, watch: watch,
		log:    log.With("address", address),
		turn:   make(chan struct{}, 1),
		retry:  make(chan struct{}, 1),
		hungUp: make(map[string]int),
	}
	n.life, n.end = context.WithCancel(context.Background())
	n.tasks.Go(func() { n.listen(n.life) })
	return n
}

// do runs commands in pipelines and returns their replies, in the array of dst if it is
// large enough. The error is that of the connection; what the server answered to a
// command is in its reply.
func (n *node) do(ctx context.Context, commands []command, dst []reply) ([]reply, error) {
	if err := n.take(ctx); err != nil {
		return nil, err
	}
	defer n.release()
	ctx, cancel := n.bind(ctx)
	defer cancel()
	hearing := n.prepareToHear(ctx, commands)
	replies, err := n.attempt(ctx, commands, dst[:0])
	if err != nil && errors.Is(err, errLost) && ctx.Err() == nil {
		// The connection had ended before, for instance with a restart of the server.
		replies, err = n.attempt(ctx, commands, dst[:0])
	}
	if err != nil {
		return nil, n.cfg.prober.look(ctx, n.address, n.cfg.tls, err)
	}
	n.markArmed(hearing, commands, replies)
	return replies, nil
}

// errLost is a connection that worked before and failed now.
var errLost = errors.New("the connection to the server was lost")

// attempt runs commands once, on a new session if there is none. The caller holds turn.
func (n *node) attempt(ctx context.Context, commands []command, dst []reply) (replies []reply, err error) {
	defer func() {
		if errors.Is(err, errPanic) {
			n.drop()
		}
	}()
	defer contained(&err)
	s, err := n.use(ctx)
	if err != nil {
		return nil, err
	}
	fresh := s.fresh
	s.fresh = false
	s.singly = !n.mayJoin()
	replies, err = s.do(ctx, commands, dst)
	n.noteJoined(s, commands, err)
	if err != nil {
		n.drop()
		if !fresh && ctx.Err() == nil && !isTimeout(err) {
			err = fmt.Errorf("%w: %w", errLost, err)
		}
	}
	return replies, err
}

// use returns the session, opened anew if it has ended. The caller holds turn.
func (n *node) use(ctx context.Context) (*session, error) {
	if n.session != nil && !n.session.ended() && !n.session.expired() {
		return n.session, nil
	}
	n.drop()
	s, err := n.open(ctx)
	if err != nil {
		return nil, err
	}
	s.fresh = true
	s.inUse.Store(true)
	n.session = s
	n.mu.Lock()
	n.server = *s.server
	n.mu.Unlock()
	n.retryListening()
	return s, nil
}

// open connects and finds out who is at the other end. A server that hangs up twice at
// what it is asked is met without a question, where one may be a proxy.
func (n *node) open(ctx context.Context) (*session, error) {
	n.setPlain(false)
	s, err := n.connectSession(ctx, func(ctx context.Context, s *session) error { return s.greet(ctx, n.cfg) })
	if err == nil || !isHangUp(err) || n.cfg.mode != modeStandalone {
		return s, err
	}
	if s, err = n.connectSession(ctx, func(ctx context.Context, s *session) error { return s.greet(ctx, n.cfg) }); err == nil || !isHangUp(err) {
		return s, err
	}
	n.setPlain(true)
	return n.connectSession(ctx, func(_ context.Context, s *session) error {
		s.server = new(unknownIdentity())
		// What was taken for a proxy may be a server that was restarted twice.
		s.until = time.Now().Add(plainLife)
		return nil
	})
}

// plainLife is how long a server is read that could not be asked what it is, before it is
// asked again.
const plainLife = time.Minute

// connectSession opens a session, greets the server and switches tracking on.
func (n *node) connectSession(ctx context.Context, greet func(context.Context, *session) error) (*session, error) {
	s, err := openSession(ctx, n.cfg, n.cfg.login, n.cfg.database, n.address, n.wakes.addEverything)
	if err != nil {
		return nil, err
	}
	if err := n.greet(ctx, s, greet); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// greet finds out who is at the other end of s and switches tracking on.
func (n *node) greet(ctx context.Context, s *session, greet func(context.Context, *session) error) error {
	defer context.AfterFunc(ctx, s.abort)()
	if err := greet(ctx, s); err != nil {
		return ended(ctx, err)
	}
	if e := n.hearing(); e != nil && e.mode == wakeTracking {
		// A refusal leaves the session untracked; the listener finds out why.
		if err := s.track(ctx, e.id); err != nil && !isServerError(err) {
			return ended(ctx, err)
		}
	}
	return nil
}

// ended returns why ctx has ended, or the answer did not come in time, in place of what a
// connection says that was closed because of it.
func ended(ctx context.Context, err error) error {
	switch {
	case context.Cause(ctx) != nil:
		return context.Cause(ctx)
	case isTimeout(err):
		return context.DeadlineExceeded
	default:
		return err
	}
}

// drop ends the session, if there is one. The caller holds turn.
func (n *node) drop() {
	if n.session != nil {
		n.session.close()
		n.session = nil
	}
}

// take waits for the turn to use the session.
func (n *node) take(ctx context.Context) error {
	if n.life.Err() != nil {
		return errClosed
	}
	select {
	case n.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for the connection: %w", context.Cause(ctx))
	case <-n.life.Done():
		return errClosed
	}
}

func (n *node) release() { <-n.turn }

// bind returns a context that ends with ctx and with the node.
func (n *node) bind(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(n.life, func() { cancel(errClosed) })
	return ctx, func() {
		stop()
		cancel(nil)
	}
}

// isPlain reports whether the server hangs up at what is a courtesy.
func (n *node) isPlain() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.plain
}

func (n *node) setPlain(plain bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.plain = plain
}

// status describes the node, from memory.
func (n *node) status() backlog.Status {
	n.mu.Lock()
	defer n.mu.Unlock()
	return backlog.Status{Server: n.server.String(), WakeUp: n.mode, WakeUpReason: n.reason}
}

// close ends the node and waits for everything in it.
func (n *node) close() {
	n.end()
	n.tasks.Wait()
	// A reader that is under way ends with the node's life.
	n.turn <- struct{}{}
	n.drop()
	<-n.turn
}
