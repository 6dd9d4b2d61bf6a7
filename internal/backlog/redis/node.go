package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
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

	// seeker searches keys, on a connection of its own.
	seeker *seeker

	// retry tells a listener that gave up to try again.
	retry chan struct{}

	// The listener owns what follows. hungUp counts, by the way of listening, how often in
	// a row the server has ended the connection at once; elsewhere counts how often in a row
	// both connections led to different servers; failed counts the attempts in a row that
	// failed otherwise.
	hungUp            map[string]int
	elsewhere, failed int
	// crowding recognises a tracking table that is too small.
	crowding crowding

	// life ends when the node is closed; tasks are its goroutines.
	life  context.Context //nolint:containedctx // the life of the node's own goroutine, not of a call
	end   context.CancelFunc
	tasks sync.WaitGroup

	// mu guards the state below: the listener and the holder of turn write it.
	mu     sync.Mutex
	ear    *ear // nil while nobody listens
	mode   string
	reason string
	server resp.Server
	// reader is session, for a reader that does not hold turn: nil while there is none.
	reader *session
	// manners are the courtesies that the server does not hang up at.
	manners manners
	// crowded is a server whose tracking table is too small, so that idle queues are read.
	crowded bool
}

func newNode(cfg *config, address string, wakes *wakes, watch *watchlist, log *slog.Logger) *node {
	n := &node{
		cfg: cfg, address: address, wakes: wakes, watch: watch,
		log:    log.With("address", address),
		turn:   make(chan struct{}, 1),
		retry:  make(chan struct{}, 1),
		hungUp: make(map[string]int),
	}
	n.seeker = newSeeker(n)
	n.life, n.end = context.WithCancel(context.Background())
	n.tasks.Go(func() { n.listen(n.life) })
	if cfg.mode == modeStandalone {
		n.tasks.Go(func() { n.watchAddress(n.life) })
	}
	return n
}

// do runs commands in pipelines and returns their replies, in the array of dst if it is
// large enough. The error is that of the connection; what the server answered to a
// command is in its reply.
func (n *node) do(ctx context.Context, commands []resp.Command, dst []resp.Reply) (replies []resp.Reply, err error) {
	defer backlog.Contain(&err)
	if err := n.take(ctx); err != nil {
		return nil, err
	}
	defer n.release()
	ctx, cancel := n.bind(ctx)
	defer cancel()
	hearing := n.prepareToHear(ctx, commands)
	replies, err = n.attempt(ctx, commands, dst[:0])
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
func (n *node) attempt(ctx context.Context, commands []resp.Command, dst []resp.Reply) (replies []resp.Reply, err error) {
	defer func() {
		if errors.Is(err, backlog.ErrPanic) {
			n.drop()
		}
	}()
	defer backlog.Contain(&err)
	s, err := n.use(ctx)
	if err != nil {
		return nil, err
	}
	fresh := s.fresh
	s.fresh = false
	s.singly = !n.mayJoin()
	replies, err = n.run(ctx, s, commands, dst)
	n.noteJoined(s, commands, err)
	if err != nil {
		n.drop()
		if !fresh && ctx.Err() == nil && !isTimeout(err) {
			err = fmt.Errorf("%w: %w", errLost, err)
		}
	}
	return replies, err
}

// run runs commands on s, and asks from time to time whether the server still is what it
// was. The caller holds turn.
func (n *node) run(ctx context.Context, s *session, commands []resp.Command, dst []resp.Reply) ([]resp.Reply, error) {
	if !s.overdue(time.Now()) {
		return s.do(ctx, commands, dst)
	}
	questions := s.questions(n.cfg, n.hearing(), false)
	asked := slices.Clip(commands)
	for _, q := range questions {
		asked = append(asked, resp.Command{Args: q.args})
	}
	replies, err := s.do(ctx, asked, dst)
	if err != nil {
		return nil, err
	}
	if err := s.judge(questions, replies[len(commands):]); err != nil {
		return nil, err
	}
	return replies[:len(commands)], nil
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
	n.server, n.reader = *s.server, s
	n.mu.Unlock()
	n.retryListening()
	return s, nil
}

// manners are the courtesies with which a connection begins.
type manners uint8

const (
	// polite names the connection, and asks the server who it is.
	polite manners = iota
	// nameless does not name the connection.
	nameless
	// plain asks nothing either.
	plain
)

// open connects and finds out who is at the other end. A server that hangs up twice at
// what it is asked is met with fewer questions, where one may be a proxy.
func (n *node) open(ctx context.Context) (*session, error) {
	for _, m := range []manners{polite, polite, nameless} {
		n.setManners(m)
		s, err := n.connectSession(ctx, func(ctx context.Context, s *session) error { return s.greet(ctx, n.cfg, m) })
		if err == nil || !isHangUp(err) || errors.Is(err, errNotJoined) || n.cfg.mode != modeStandalone {
			return s, err
		}
	}
	n.setManners(plain)
	return n.connectSession(ctx, func(_ context.Context, s *session) error {
		s.server, s.unanswered = new(unknownIdentity()), ^uint8(0)
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
	e := n.hearing()
	if e == nil {
		return nil
	}
	err := s.join(ctx, e)
	if err != nil && isLost(err) {
		return fmt.Errorf("%w: %w", errNotJoined, ended(ctx, err))
	}
	if err != nil {
		// The session is of use without it; the listener is not.
		e.end(err)
	}
	return nil
}

// errNotJoined is a session that was lost when the listener was to hear of what it reads.
var errNotJoined = errors.New("switch tracking on")

// isLost reports whether err comes from a connection that failed, and not from what was
// said on it.
func isLost(err error) bool {
	var refused refusal
	return !resp.IsServerError(err) && !errors.As(err, &refused) && !errors.Is(err, errElsewhere)
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
	n.mu.Lock()
	defer n.mu.Unlock()
	n.reader = nil
}

// reads reports whether there is a session that works.
func (n *node) reads() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.reader != nil && !n.reader.ended()
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

func (n *node) showManners() manners {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.manners
}

func (n *node) setManners(m manners) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.manners = m
}

// status describes the node, from memory.
func (n *node) status() backlog.Status {
	n.mu.Lock()
	defer n.mu.Unlock()
	status := backlog.Status{Server: n.server.String(), WakeUp: n.mode, WakeUpReason: n.reason, IdlePoll: n.cfg.idlePoll}
	if n.crowded && n.mode == wakePoll {
		status.IdlePoll = crowdedPoll(n.cfg.idlePoll, n.watch.size())
	}
	return status
}

// close ends the node and waits for everything in it.
func (n *node) close() {
	n.end()
	n.tasks.Wait()
	// A reader that is under way ends with the node's life.
	n.turn <- struct{}{}
	n.drop()
	<-n.turn
	n.seeker.close()
}
