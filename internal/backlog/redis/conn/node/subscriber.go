package node

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/conn"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// A subscriber is one live connection on which changes are reported.
type subscriber struct {
	*conn.Subscription

	mode   string // conn.WakeTracking or conn.WakeKeyspace
	prefix string // of the channels of keyspace notifications
	flags  string // notify-keyspace-events, with A spelled out

	// retryBetter is when to try again what is better and was refused; zero if nothing was.
	// It belongs to the listener.
	retryBetter time.Time

	// why is the reason for which end has closed the connection.
	why atomic.Pointer[error]

	// pings counts the calls of ping; it belongs to the holder of the node's semaphore. pongs
	// has room for one answer, and is nil where ping is not called.
	pings uint64
	pongs chan string

	// mu guards channels: the reader adds, the listener confirms.
	mu sync.Mutex
	// channels reports for each key that was subscribed to whether that is confirmed.
	channels map[string]bool
}

// subscribe opens the connection of a subscriber. The caller closes it.
func (n *Node) subscribe(ctx context.Context, s *subscriber) error {
	m := n.handshakeMode()
	opened, err := conn.Listen(ctx, n.cfg, n.address, conn.Introduction{
		Name: m == fullHandshake, Info: m != minimalHandshake, ID: s.mode == conn.WakeTracking,
	})
	if err != nil {
		return unsupported(err)
	}
	if opened.Server.RunID == "" {
		opened.Close()
		return unsupportedError{unproven}
	}
	s.Subscription = opened
	return nil
}

// unproven is why changes are not listened to where the server does not say which one it
// is: behind a balancer one connection may lead to another server than the next.
const unproven = "the server does not name its run (run_id of INFO server), so it cannot be known that both connections are to the same server"

var (
	// errOtherRun is a connection that leads to another server than the one that is listened
	// to, or to another run of it.
	errOtherRun = errors.New("the connections that read and listen lead to different servers")
	// errSubscriberLost is a subscriber that worked until its connection was lost.
	errSubscriberLost = errors.New("the connection to listen on was lost")
)

// An unsupportedError is a way of noticing changes that the server does not offer.
type unsupportedError struct{ reason string }

func (e unsupportedError) Error() string { return e.reason }

// unsupported returns err, as an unsupportedError if the server answered it. Managed servers
// refuse in words of their own, so what is not known to be transient is a refusal.
func unsupported(err error) error {
	if err != nil && (resp.IsServerError(err) && !resp.IsTransient(err) || errors.Is(err, resp.ErrReply)) {
		return unsupportedError{err.Error()}
	}
	return err
}

// end closes the connection, for the reason err. It does not wait.
func (s *subscriber) end(err error) {
	s.why.CompareAndSwap(nil, &err)
	s.Abort()
}

// whyEnded returns why end was called, nil if it was not.
func (s *subscriber) whyEnded() error {
	if why := s.why.Load(); why != nil {
		return *why
	}
	return nil
}

// lost returns why the connection was lost: err, unless end was called.
func (s *subscriber) lost(err error) error {
	why := s.whyEnded()
	_, isUnsupported := errors.AsType[unsupportedError](why)
	switch {
	case isUnsupported, errors.Is(why, errSubscriberLost), errors.Is(why, errOtherRun):
		return why
	case why != nil:
		err = why
	}
	return fmt.Errorf("%w: %w", errSubscriberLost, err)
}

// join makes the server report to sub what changes of the keys that s reads, if sub listens by
// tracking. It returns errOtherRun if they are connected to different servers, and an
// unsupportedError if the server does not allow it or that cannot be known.
func (s *session) join(ctx context.Context, sub *subscriber) error {
	switch {
	case s.Server.RunID == "":
		return unsupportedError{unproven}
	case !s.Server.IsSame(sub.Server):
		return errOtherRun
	case sub.mode != conn.WakeTracking || s.tracked == sub:
		return nil
	}
	err := s.track(ctx, sub)
	switch {
	case err == nil:
		return nil
	case resp.IsServerError(err) && s.Server.IsTooOld():
		return unsupportedError{"client tracking: " + s.Server.Title() + ": 6.0 is needed"}
	default:
		return unsupported(fmt.Errorf("client tracking: %w", err))
	}
}

// An armState is what was subscribed to before a read began.
type armState struct {
	subscriber *subscriber
	// keys reports for each command whether keyspace notifications of its key come in.
	keys []bool
}

// prepareArming subscribes to the keys of commands. The caller holds semaphore.
func (n *Node) prepareArming(ctx context.Context, commands []resp.Command) armState {
	sub := n.currentSubscriber()
	if sub == nil || sub.mode != conn.WakeKeyspace {
		return armState{subscriber: sub}
	}
	confirmed, wanted := sub.channelsFor(commands)
	if len(wanted) > 0 {
		// The listener notices a connection that fails.
		_ = sub.Subscribe(ctx, wanted...)
	}
	return armState{subscriber: sub, keys: confirmed}
}

// markArmed marks the replies whose keys a live subscriber is notified of. The caller holds
// semaphore.
func (n *Node) markArmed(state armState, commands []resp.Command, replies []resp.Reply) {
	sub := n.currentSubscriber()
	if sub == nil || sub.whyEnded() != nil || n.session == nil || !n.session.Server.IsSame(sub.Server) {
		return
	}
	for i := range replies {
		switch {
		case commands[i].Asking:
		case sub.mode == conn.WakeTracking:
			replies[i].Armed = n.session.tracked == sub
		default:
			replies[i].Armed = state.subscriber == sub && state.keys[i]
		}
	}
}

// channelsFor notes the keys of commands. It returns for each command whether its key is
// subscribed to, and the channels that have to be subscribed to.
func (s *subscriber) channelsFor(commands []resp.Command) (confirmed []bool, wanted []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	confirmed = make([]bool, len(commands))
	for i, c := range commands {
		if c.KeyType == 0 || strings.IndexByte(s.flags, c.KeyType) < 0 {
			continue
		}
		isConfirmed, known := s.channels[c.Key]
		confirmed[i] = isConfirmed
		if !known {
			s.channels[c.Key] = false
			wanted = append(wanted, s.prefix+c.Key)
		}
	}
	return confirmed, wanted
}

func (s *subscriber) confirm(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.channels[key] = true
}

// Forget unsubscribes from keys that are not read any more.
func (n *Node) Forget(keys []string) {
	sub := n.currentSubscriber()
	if sub == nil || sub.mode != conn.WakeKeyspace {
		return
	}
	sub.mu.Lock()
	var channels []string
	for _, key := range keys {
		if _, known := sub.channels[key]; known {
			delete(sub.channels, key)
			channels = append(channels, sub.prefix+key)
		}
	}
	sub.mu.Unlock()
	if len(channels) > 0 {
		// The listener notices a connection that fails.
		_ = sub.Unsubscribe(n.life, channels...)
	}
}

func (n *Node) currentSubscriber() *subscriber {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.subscriber
}

func (n *Node) attach(s *subscriber) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.subscriber = s
}

// detach takes the subscriber off the node, and then wakes everything: in this order, so that
// nothing that is read because of it counts as armed.
func (n *Node) detach() {
	n.attach(nil)
	n.waker.WakeAll()
}
