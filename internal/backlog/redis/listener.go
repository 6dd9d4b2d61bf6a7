package redis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

const (
	// invalidations is the channel on which a server tells which keys have changed
	// that a tracked connection had read.
	invalidations = "__redis__:invalidate"
	// silence is how long a listener waits before it asks whether the server is still
	// there, and how long it then waits for the answer.
	silence = 5 * time.Second
	// refusedRetry is how long a listener does with less than the best, or with nothing,
	// before it tries again what the server has refused.
	refusedRetry = time.Minute
	// listenBackoff bounds the wait before connecting again; it doubles from the first to the second.
	listenBackoffMin, listenBackoffMax = 50 * time.Millisecond, time.Second
)

// A refusal is a way of listening that the server does not offer.
type refusal struct{ reason string }

func (r refusal) Error() string { return r.reason }

// listen hears changes until ctx ends, in the best way that the server offers.
func (n *node) listen(ctx context.Context) {
	wait := listenBackoffMin
	for ctx.Err() == nil {
		err := n.listenBest(ctx)
		var refused refusal
		switch {
		case errors.As(err, &refused):
			n.setMode(wakePoll, refused.reason)
			n.pause(ctx, n.cfg.refusedRetry, n.retry)
			wait = listenBackoffMin
		case errors.Is(err, errDeaf):
			// It worked until now.
			wait = listenBackoffMin
			n.pause(ctx, wait, nil)
		default:
			if errors.Is(err, backlog.ErrPanic) {
				n.log.Error("listening failed", "error", err)
			}
			n.admit(err)
			n.pause(ctx, wait/2+rand.N(wait), nil) //nolint:gosec // jitter is no secret
			wait = min(2*wait, listenBackoffMax)
		}
	}
}

// attempts is how often in a row listening may fail, although the server is read, before
// that shows in the mode. It may have been restarted once or twice.
const attempts = 3

// admit notes that listening has failed. What fails while the server cannot be read either
// is an outage, which says nothing of how changes are noticed.
func (n *node) admit(err error) {
	if !n.reads() {
		n.failed = 0
		return
	}
	n.failed++
	if n.failed == attempts {
		n.setMode(wakePoll, "listening fails: "+err.Error())
	}
}

// pause waits for d, or until ctx ends or early has something.
func (n *node) pause(ctx context.Context, d time.Duration, early <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-early:
	}
}

// errDeaf is an ear that heard until its connection was lost.
var errDeaf = errors.New("the connection to listen on was lost")

// listenBest tries the ways of listening in order. It returns a refusal if the server
// offers none, and another error if the server did not answer or was lost.
func (n *node) listenBest(ctx context.Context) (err error) {
	defer backlog.Contain(&err)
	want := n.cfg.wakeUp
	if want == wakePoll {
		n.setMode(wakePoll, "")
		<-ctx.Done()
		return nil
	}
	var reasons []string
	for _, way := range []struct {
		mode string
		hear func(context.Context, string) error
	}{
		{wakeTracking, n.hearTracking},
		{wakeKeyspace, n.hearKeyspace},
	} {
		if want != wakeAuto && want != way.mode {
			continue
		}
		err := way.hear(ctx, strings.Join(reasons, "; "))
		if n.hangsUp(ctx, way.mode, err) {
			err = refusal{way.mode + ": the server ended the connection"}
		}
		if n.misses(err) {
			err = refusal{"the address leads to different servers, so it cannot be listened to the one that is read"}
		}
		var refused refusal
		if !errors.As(err, &refused) {
			return err
		}
		if !slices.Contains(reasons, refused.reason) {
			reasons = append(reasons, refused.reason)
		}
	}
	return refusal{strings.Join(reasons, "; ")}
}

// hangUps is how often in a row a server may end a connection that is to listen before
// that counts as a refusal. It may have been restarted once or twice.
const hangUps = 3

// hangsUp reports whether the server ends the connection each time that it is listened to
// in this way, although it can be read.
func (n *node) hangsUp(ctx context.Context, mode string, err error) bool {
	if errors.Is(err, errDeaf) || !isHangUp(err) {
		clear(n.hungUp)
		return false
	}
	n.hungUp[mode]++
	if n.hungUp[mode] < hangUps {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, n.cfg.dialTimeout+n.cfg.answerTimeout)
	defer cancel()
	if n.take(ctx) != nil {
		return false
	}
	defer n.release()
	_, err = n.use(ctx)
	return err == nil
}

// misses reports whether both connections led to different servers each time that it was
// tried. Once or twice they do so where the server behind an address was replaced.
func (n *node) misses(err error) bool {
	if !errors.Is(err, errElsewhere) {
		n.elsewhere = 0
		return false
	}
	n.elsewhere++
	return n.elsewhere >= attempts
}

// hearTracking listens for what the server tells of the keys that the session read.
func (n *node) hearTracking(ctx context.Context, _ string) (err error) {
	if err := n.leavesRoom(ctx); err != nil {
		return err
	}
	e := &ear{mode: wakeTracking, answers: make(chan string, 1)}
	closeEar, err := n.connect(ctx, e)
	if err != nil {
		return err
	}
	defer closeEar()
	if err := e.pubsub.Subscribe(ctx, invalidations); err != nil {
		return fmt.Errorf("listen on %s: %w", invalidations, err)
	}
	if _, err := e.pubsub.ReceiveTimeout(ctx, n.cfg.answerTimeout); err != nil {
		return refusedOr(err, "client tracking: subscribing to "+invalidations)
	}
	n.setEar(e)
	defer n.goDeaf()
	if err := n.joinSession(ctx, e); err != nil {
		return err
	}
	n.setMode(wakeTracking, "")
	n.setCrowded(false)
	err = n.hear(ctx, e)
	if _, refused := errors.AsType[refusal](err); refused {
		n.untrackSession(ctx)
	}
	return err
}

// joinSession makes the server report to e what changes of what the session reads, which
// is opened if there is none. If it is one of another server it ends, as e does.
func (n *node) joinSession(ctx context.Context, e *ear) error {
	ctx, cancel := context.WithTimeout(ctx, n.cfg.dialTimeout+n.cfg.answerTimeout)
	defer cancel()
	if err := n.take(ctx); err != nil {
		return err
	}
	defer n.release()
	s, err := n.use(ctx)
	if err != nil {
		return err
	}
	err = s.join(ctx, e)
	// Where it is so each time, another session is no better.
	if elsewhere := errors.Is(err, errElsewhere) && n.elsewhere+1 < attempts; err != nil && (isLost(err) || elsewhere) {
		n.drop()
	}
	return err
}

// untrackSession ends the tracking of a session to which nothing listens any more.
func (n *node) untrackSession(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, n.cfg.answerTimeout)
	defer cancel()
	if n.take(ctx) != nil {
		return
	}
	defer n.release()
	if s := n.session; s != nil && s.tracked != nil && s.untrack(ctx) != nil {
		n.drop()
	}
}

// hear wakes what is told on the ear until its connection is lost.
func (n *node) hear(ctx context.Context, e *ear) error {
	n.failed = 0
	n.wakes.addEverything()
	asked := false
	for {
		if n.mayDoBetter(ctx, e) {
			return errDeaf
		}
		wait := silence
		if !e.again.IsZero() {
			wait = min(silence, max(time.Until(e.again), time.Millisecond))
		}
		message, err := e.pubsub.ReceiveTimeout(ctx, wait)
		switch {
		case err == nil:
			asked = false
			if err := n.heard(ctx, e, message); err != nil {
				return err
			}
		case isFlush(err):
			n.wakes.addEverything()
		case isTimeout(err) && wait < silence && ctx.Err() == nil:
			// Not to ask whether the server is there.
		case isTimeout(err) && !asked && ctx.Err() == nil:
			asked = true
			if err := e.pubsub.Ping(ctx); err != nil {
				return e.lost(err)
			}
		case resp.IsServerError(err):
			// A subscription was refused; what it was for stays unarmed. The rest of the
			// server's words may name a key, and whose it is is not known here.
			code, _, _ := strings.Cut(resp.ServerText(err), " ")
			n.log.Warn("subscription refused", "error", code)
		default:
			return e.lost(err)
		}
	}
}

// mayDoBetter reports whether it is time to try again what is better than e and was refused.
func (n *node) mayDoBetter(ctx context.Context, e *ear) bool {
	if e.again.IsZero() || time.Now().Before(e.again) {
		return false
	}
	e.again = time.Now().Add(n.cfg.refusedRetry)
	return n.leavesRoom(ctx) == nil
}

// heard takes in a message. The error ends the listener.
func (n *node) heard(ctx context.Context, e *ear, message any) error {
	switch m := message.(type) {
	case *redis.Pong:
		e.answered(m)
	case *redis.Message:
		keys := m.PayloadSlice
		if e.mode == wakeKeyspace {
			keys = []string{strings.TrimPrefix(m.Channel, e.prefix)}
		}
		now := time.Now()
		queries, fruitless := n.watch.changed(keys, now)
		n.wakes.add(queries)
		if e.mode == wakeTracking && n.crowding.add(fruitless, now) {
			return n.suspect(ctx)
		}
	case *redis.Subscription:
		if e.mode == wakeKeyspace && m.Kind == "subscribe" {
			key := strings.TrimPrefix(m.Channel, e.prefix)
			e.confirm(key)
			// It was read before it could be heard: once more.
			n.wakes.add(n.watch.queries(key))
		}
	}
	return nil
}

func (n *node) hearing() *ear {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.ear
}

// goDeaf says that nobody listens any more, and then that everything may have
// changed: in this order, so that nothing that is read because of it counts as armed.
func (n *node) goDeaf() {
	n.setEar(nil)
	n.wakes.addEverything()
}

func (n *node) setEar(e *ear) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ear = e
}

// setMode notes how changes are noticed, and logs it if it is news.
func (n *node) setMode(mode, reason string) {
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
func (n *node) retryListening() {
	select {
	case n.retry <- struct{}{}:
	default:
	}
}
