package node

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/network"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/conn"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

const (
	// silence is how long a listener waits before it asks whether the server is still
	// there, and how long it then waits for the answer.
	silence = 5 * time.Second
	// listenBackoff bounds the wait before connecting again; it doubles from the first to the second.
	listenBackoffMin, listenBackoffMax = 50 * time.Millisecond, time.Second
	// maxFailures is how often in a row listening may fail, although the server is read,
	// before that shows in the mode. It may have been restarted once or twice.
	maxFailures = 3
	// maxHangUps is how often in a row a server may end a connection that is to listen before
	// that counts as a refusal. It may have been restarted once or twice.
	maxHangUps = 3
)

// attempts counts the attempts in a row that failed to listen.
type attempts struct {
	// hungUp counts, by the mode, how often the server has ended the connection at once.
	hungUp map[string]int
	// otherRun counts how often both connections led to different servers, and failed how
	// often an attempt failed otherwise.
	otherRun, failed int
}

// listen is notified of changes until ctx ends, in the best way that the server offers.
func (n *Node) listen(ctx context.Context) {
	wait := listenBackoffMin
	for ctx.Err() == nil {
		err := n.listenBest(ctx)
		refused, isUnsupported := errors.AsType[unsupportedError](err)
		switch {
		case isUnsupported:
			n.setMode(conn.WakePoll, refused.reason)
			pause(ctx, n.cfg.UnsupportedRetry, n.retry)
			wait = listenBackoffMin
		case errors.Is(err, errSubscriberLost):
			// It worked until now.
			wait = listenBackoffMin
			pause(ctx, wait, nil)
		default:
			if errors.Is(err, backlog.ErrPanic) {
				n.log.Error("listening failed", "error", err)
			}
			n.noteFailure(err)
			pause(ctx, wait/2+rand.N(wait), nil) //nolint:gosec // jitter is no secret
			wait = min(2*wait, listenBackoffMax)
		}
	}
}

// noteFailure notes that listening has failed. What fails while the server cannot be read
// either is an outage, which says nothing of how changes are noticed.
func (n *Node) noteFailure(err error) {
	if !n.hasSession() {
		n.listening.failed = 0
		return
	}
	n.listening.failed++
	if n.listening.failed == maxFailures {
		n.setMode(conn.WakePoll, "listening fails: "+err.Error())
	}
}

// pause waits for d, or until ctx ends or early has something.
func pause(ctx context.Context, d time.Duration, early <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-early:
	}
}

// listenBest tries the ways of listening in order. It returns an unsupportedError if the
// server offers none, and another error if the server did not answer or was lost.
func (n *Node) listenBest(ctx context.Context) (err error) {
	defer backlog.Contain(&err)
	want := n.cfg.WakeUp
	if want == conn.WakePoll {
		n.setMode(conn.WakePoll, "")
		<-ctx.Done()
		return nil
	}
	var reasons []string
	for _, way := range []struct {
		mode   string
		listen func(context.Context, string) error
	}{
		{conn.WakeTracking, n.listenByTracking},
		{conn.WakeKeyspace, n.listenByKeyspace},
	} {
		if want != conn.WakeAuto && want != way.mode {
			continue
		}
		err := way.listen(ctx, strings.Join(reasons, "; "))
		if n.hangsUp(ctx, way.mode, err) {
			err = unsupportedError{way.mode + ": the server ended the connection"}
		}
		if n.leadsToOthers(err) {
			err = unsupportedError{"the address leads to different servers, so it cannot be listened to the one that is read"}
		}
		refused, isUnsupported := errors.AsType[unsupportedError](err)
		if !isUnsupported {
			return err
		}
		if !slices.Contains(reasons, refused.reason) {
			reasons = append(reasons, refused.reason)
		}
	}
	return unsupportedError{strings.Join(reasons, "; ")}
}

// hangsUp reports whether the server ends the connection each time that it is listened to
// in this mode, although it can be read.
func (n *Node) hangsUp(ctx context.Context, mode string, err error) bool {
	if errors.Is(err, errSubscriberLost) || !network.IsHangUp(err) {
		clear(n.listening.hungUp)
		return false
	}
	n.listening.hungUp[mode]++
	if n.listening.hungUp[mode] < maxHangUps {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, n.cfg.DialTimeout+n.cfg.AnswerTimeout)
	defer cancel()
	if n.acquire(ctx) != nil {
		return false
	}
	defer n.release()
	_, err = n.openSession(ctx)
	return err == nil
}

// leadsToOthers reports whether both connections led to different servers each time that it
// was tried. Once or twice they do so where the server behind an address was replaced.
func (n *Node) leadsToOthers(err error) bool {
	if !errors.Is(err, errOtherRun) {
		n.listening.otherRun = 0
		return false
	}
	n.listening.otherRun++
	return n.listening.otherRun >= maxFailures
}

// joinSession makes the server report to sub what changes of what the session reads, which
// is opened if there is none. If it is one of another server it ends, as sub does.
func (n *Node) joinSession(ctx context.Context, sub *subscriber) error {
	ctx, cancel := context.WithTimeout(ctx, n.cfg.DialTimeout+n.cfg.AnswerTimeout)
	defer cancel()
	if err := n.acquire(ctx); err != nil {
		return err
	}
	defer n.release()
	s, err := n.openSession(ctx)
	if err != nil {
		return err
	}
	err = s.join(ctx, sub)
	// Where it is so each time, another session is no better.
	retried := errors.Is(err, errOtherRun) && n.listening.otherRun+1 < maxFailures
	if err != nil && (isLost(err) || retried) {
		n.closeSession()
	}
	return err
}

// receive wakes what the subscriber is notified of until its connection is lost.
func (n *Node) receive(ctx context.Context, s *subscriber) error {
	n.listening.failed = 0
	n.waker.WakeAll()
	pinged := false
	for {
		if n.shouldRetryBetter(ctx, s) {
			return errSubscriberLost
		}
		wait := silence
		if !s.retryBetter.IsZero() {
			wait = min(silence, max(time.Until(s.retryBetter), time.Millisecond))
		}
		message, err := s.Receive(ctx, wait)
		switch {
		case err == nil:
			pinged = false
			if err := n.handle(ctx, s, message); err != nil {
				return err
			}
		case network.IsTimeout(err) && wait < silence && ctx.Err() == nil:
			// Not to ask whether the server is there.
		case network.IsTimeout(err) && !pinged && ctx.Err() == nil:
			pinged = true
			if err := s.Ping(ctx); err != nil {
				return s.lost(err)
			}
		case resp.IsServerError(err):
			// A subscription was refused; what it was for stays unarmed. The rest of the
			// server's words may name a key, and it is not known here which tenant owns it.
			code, _, _ := strings.Cut(resp.ServerText(err), " ")
			n.log.Warn("subscription refused", "error", code)
		default:
			return s.lost(err)
		}
	}
}

// shouldRetryBetter reports whether it is time to try again what is better than s and was
// refused.
func (n *Node) shouldRetryBetter(ctx context.Context, s *subscriber) bool {
	if s.retryBetter.IsZero() || time.Now().Before(s.retryBetter) {
		return false
	}
	s.retryBetter = time.Now().Add(n.cfg.UnsupportedRetry)
	return n.checkRoom(ctx) == nil
}

// handle takes in a message. The error ends the subscriber.
func (n *Node) handle(ctx context.Context, s *subscriber, message any) error {
	switch m := message.(type) {
	case conn.Pong:
		s.keepPong(m)
	case conn.Flushed:
		n.waker.WakeAll()
	case conn.Message:
		keys := m.Payload
		if s.mode == conn.WakeKeyspace {
			keys = []string{strings.TrimPrefix(m.Channel, s.prefix)}
		}
		now := time.Now()
		fruitless := n.tracker.Invalidate(keys, now)
		if s.mode == conn.WakeTracking && n.evictions.add(fruitless, now) {
			return n.suspectEvictions(ctx)
		}
	case conn.Subscribed:
		if s.mode == conn.WakeKeyspace {
			key := strings.TrimPrefix(m.Channel, s.prefix)
			s.confirm(key)
			// It was read before its changes were reported: once more.
			n.waker.WakeKey(key)
		}
	}
	return nil
}

// setMode notes how changes are noticed, and logs it if it is news.
func (n *Node) setMode(mode, reason string) {
	n.mu.Lock()
	news := n.mode != mode || n.reason != reason
	n.mode, n.reason = mode, reason
	n.mu.Unlock()
	if news {
		n.log.Info("wake-up mode", "mode", mode, "reason", reason)
	}
}

// retryListening makes a listener try again that was refused everything before: the
// server may be another one.
func (n *Node) retryListening() {
	select {
	case n.retry <- struct{}{}:
	default:
	}
}
