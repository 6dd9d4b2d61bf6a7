package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/network"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/conn"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// transactionRetry is for how long a server is sent no transactions after it has refused one.
const transactionRetry = 10 * time.Minute

// A Node is one server: the session on which it is read, and the subscriber that is notified
// of changes.
type Node struct {
	cfg     *conn.Config
	address string
	tracker Tracker
	waker   Waker
	log     *slog.Logger

	// semaphore holds a value while a goroutine uses session: a reader, or the listener when
	// it switches tracking on. A channel and not a mutex, because it is held over I/O.
	semaphore chan struct{}
	session   *session // owned by the holder of semaphore
	// noTransactionsUntil is until when the server is sent no transactions. It belongs to the holder
	// of semaphore.
	noTransactionsUntil time.Time
	// unknown is how long the server was read last before it was asked again what it is; zero if it is
	// known. It belongs to the holder of semaphore.
	unknown time.Duration
	// nextLimits is when the server is asked for its limits again, and tracked is how many keys it tracked
	// when it was last asked; -1 if that is unknown. They belong to the holder of semaphore.
	nextLimits time.Time
	tracked    int64

	scanner *scanner

	// retry makes a listener that gave up try again.
	retry chan struct{}

	// The listener's goroutine owns what follows.
	listening attempts
	evictions evictions

	// life ends when the node is closed; tasks are its goroutines.
	life  context.Context //nolint:containedctx // the life of the node's own goroutine, not of a call
	end   context.CancelFunc
	tasks sync.WaitGroup

	// mu guards the state below: the listener and the holder of semaphore write it, Status
	// and scans read it.
	mu         sync.Mutex
	subscriber *subscriber // nil while there is none
	mode       string      // how changes are noticed
	reason     string      // why not better
	server     resp.Server
	// reader is session, for those that do not hold semaphore: nil while there is none.
	reader    *session
	handshake handshakeMode
	// tableFull is a server whose tracking table is too small, so that idle queues are read.
	tableFull bool
	// risks are those of the last answer about limits, before it that they are unknown; replaced, never changed.
	risks []backlog.Risk
}

// New returns the node of the server at an address. It connects in the background.
func New(cfg *conn.Config, address string, tracker Tracker, waker Waker, log *slog.Logger) *Node {
	n := &Node{
		cfg: cfg, address: address, tracker: tracker, waker: waker,
		log:       log.With("address", address),
		semaphore: make(chan struct{}, 1),
		retry:     make(chan struct{}, 1),
		listening: attempts{hungUp: make(map[string]int)},
		risks:     unknownLimits().risks(),
	}
	n.scanner = newScanner(n)
	n.life, n.end = context.WithCancel(context.Background())
	n.tasks.Go(func() { n.listen(n.life) })
	if cfg.Mode == conn.ModeStandalone {
		n.tasks.Go(func() { n.watchAddress(n.life) })
	}
	return n
}

// Address returns the address of the server.
func (n *Node) Address() string { return n.address }

// Do runs commands in pipelines and returns their replies, in the array of dst if it is
// large enough. The error is that of the connection. What the server answers to a command is
// in its reply.
func (n *Node) Do(ctx context.Context, commands []resp.Command, dst []resp.Reply) (replies []resp.Reply, err error) {
	defer backlog.Contain(&err)
	if err := n.acquire(ctx); err != nil {
		return nil, err
	}
	defer n.release()
	ctx, cancel := n.bind(ctx)
	defer cancel()
	state := n.prepareArming(ctx, commands)
	replies, err = n.attempt(ctx, commands, dst[:0])
	if err != nil && errors.Is(err, errLost) && ctx.Err() == nil {
		// The connection had ended before, for instance with a restart of the server.
		replies, err = n.attempt(ctx, commands, dst[:0])
	}
	if err != nil {
		return nil, n.cfg.Prober.Diagnose(ctx, n.address, n.cfg.TLS, err)
	}
	n.markArmed(state, commands, replies)
	return replies, nil
}

// errLost is a connection that worked before and failed now.
var errLost = errors.New("the connection to the server was lost")

// attempt runs commands once, on a new session if there is none. The caller holds semaphore.
func (n *Node) attempt(ctx context.Context, commands []resp.Command, dst []resp.Reply) (replies []resp.Reply, err error) {
	defer func() {
		if errors.Is(err, backlog.ErrPanic) {
			n.closeSession()
		}
	}()
	defer backlog.Contain(&err)
	s, err := n.openSession(ctx)
	if err != nil {
		return nil, err
	}
	fresh := s.fresh
	s.fresh = false
	s.NoTransactions = !n.allowsTransactions()
	replies, err = n.run(ctx, s, commands, dst)
	n.noteTransactions(s, commands, err)
	if err != nil {
		n.closeSession()
		if !fresh && ctx.Err() == nil && !network.IsTimeout(err) {
			err = fmt.Errorf("%w: %w", errLost, err)
		}
	}
	return replies, err
}

// run runs commands on s, and checks from time to time whether the server still is what it
// was. The caller holds semaphore.
func (n *Node) run(ctx context.Context, s *session, commands []resp.Command, dst []resp.Reply) ([]resp.Reply, error) {
	now := time.Now()
	if !s.isCheckDue(now) {
		return s.Do(ctx, commands, dst)
	}
	checks, limits := n.questions(s, n.currentSubscriber(), false, now)
	all := slices.Clip(commands)
	for _, c := range checks {
		all = append(all, resp.Command{Args: c.args})
	}
	replies, err := s.Do(ctx, all, dst)
	if err != nil {
		return nil, err
	}
	if err := s.verify(checks, replies[len(commands):]); err != nil {
		return nil, err
	}
	n.setLimits(limits, now)
	return replies[:len(commands)], nil
}

// allowsTransactions reports whether the server is sent transactions. The caller holds
// semaphore.
func (n *Node) allowsTransactions() bool {
	return n.handshakeMode() != minimalHandshake && time.Now().After(n.noTransactionsUntil)
}

// noteTransactions notes whether the server, to which the commands were sent on s, runs
// transactions. One that ends the connection, or answers what it should not, may do so
// because of them. The caller holds semaphore.
func (n *Node) noteTransactions(s *session, commands []resp.Command, err error) {
	if err != nil && !s.NoTransactions {
		s.NoTransactions = slices.ContainsFunc(commands, func(c resp.Command) bool { return c.Transaction != 0 })
	}
	if s.NoTransactions && n.allowsTransactions() {
		n.noTransactionsUntil = time.Now().Add(transactionRetry)
	}
}

// acquire waits until the caller may use the session.
func (n *Node) acquire(ctx context.Context) error {
	if n.life.Err() != nil {
		return conn.ErrClosed
	}
	select {
	case n.semaphore <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for the connection: %w", context.Cause(ctx))
	case <-n.life.Done():
		return conn.ErrClosed
	}
}

func (n *Node) release() { <-n.semaphore }

// bind returns a context that ends with ctx and with the node.
func (n *Node) bind(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(n.life, func() { cancel(conn.ErrClosed) })
	return ctx, func() {
		stop()
		cancel(nil)
	}
}

// Status describes the node, from memory.
func (n *Node) Status() backlog.Status {
	n.mu.Lock()
	defer n.mu.Unlock()
	status := backlog.Status{Server: n.server.String(), WakeUp: n.mode, WakeUpReason: n.reason, IdlePoll: n.cfg.IdlePoll, Risks: n.risks}
	if n.tableFull {
		status.Risks = append(slices.Clip(status.Risks), backlog.Risk{Kind: backlog.RiskTracking, Text: "the tracking table of the server is full (" + tableSetting + "), so changes are noticed in another way"})
	}
	if n.tableFull && n.mode == conn.WakePoll {
		status.IdlePoll = evictedPoll(n.cfg.IdlePoll, n.tracker.Len())
	}
	return status
}

// Close ends the node and waits for everything in it.
func (n *Node) Close() {
	n.end()
	n.tasks.Wait()
	// A reader that is under way ends with the node's life.
	n.semaphore <- struct{}{}
	n.closeSession()
	<-n.semaphore
	n.scanner.close()
}
