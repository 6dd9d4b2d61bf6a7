package redis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

const (
	// invalidations is the channel on which a server tells which keys have changed
	// that a tracked connection had read.
	invalidations = "__redis__:invalidate"
	// silence is how long a listener waits before it asks whether the server is still
	// there, and how long it then waits for the answer.
	silence = 5 * time.Second
	// refusedRetry is how long a listener waits after the server refused all that it tried.
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
			n.pause(ctx, refusedRetry, n.retry)
			wait = listenBackoffMin
		case errors.Is(err, errDeaf):
			// It worked until now.
			wait = listenBackoffMin
			n.pause(ctx, wait, nil)
		default:
			if errors.Is(err, backlog.ErrPanic) {
				n.log.Error("listening failed", "error", err)
			}
			n.pause(ctx, wait/2+rand.N(wait), nil) //nolint:gosec // jitter is no secret
			wait = min(2*wait, listenBackoffMax)
		}
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
		var refused refusal
		if !errors.As(err, &refused) {
			return err
		}
		reasons = append(reasons, refused.reason)
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

// hearTracking listens for what the server tells of the keys that the session read.
func (n *node) hearTracking(ctx context.Context, _ string) error {
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
	if err := n.trackSession(ctx, e.id); err != nil {
		return err
	}
	n.setMode(wakeTracking, "")
	return n.hear(ctx, e)
}

// trackSession makes the session, opened if there is none, tell the connection id.
func (n *node) trackSession(ctx context.Context, id int64) error {
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
	if s.tracked == id {
		return nil
	}
	err = s.track(ctx, id)
	if err != nil && !isServerError(err) {
		n.drop()
	}
	if isServerError(err) && isTooOld(s.server.String()) {
		return refusal{"client tracking: " + s.server.title() + ": 6.0 is needed"}
	}
	return refusedOr(err, "client tracking")
}

// hearKeyspace listens for keyspace notifications of the keys that are read.
func (n *node) hearKeyspace(ctx context.Context, reason string) error {
	flags, err := n.keyspaceFlags(ctx)
	if err != nil {
		return err
	}
	e := &ear{mode: wakeKeyspace, flags: flags, prefix: fmt.Sprintf("__keyspace@%d__:", n.cfg.database), channels: make(map[string]bool)}
	closeEar, err := n.connect(ctx, e)
	if err != nil {
		return err
	}
	defer closeEar()
	// An answer to PING is a connection that is ready.
	if err := e.pubsub.Ping(ctx); err != nil {
		return fmt.Errorf("listen for keyspace notifications: %w", err)
	}
	n.setEar(e)
	defer n.goDeaf()
	n.setMode(wakeKeyspace, reason)
	return n.hear(ctx, e)
}

// keyspaceFlags returns notify-keyspace-events with the letter A spelled out.
func (n *node) keyspaceFlags(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, n.cfg.dialTimeout+n.cfg.answerTimeout)
	defer cancel()
	replies, err := n.do(ctx, []command{{args: []any{"CONFIG", "GET", "notify-keyspace-events"}}}, nil)
	if err != nil {
		return "", err
	}
	list, err := replies[0].list()
	if err != nil {
		return "", refusedOr(err, "keyspace notifications: asking whether they are on")
	}
	if len(list) < 2 {
		return "", refusal{"keyspace notifications: the server does not tell whether they are on"}
	}
	flags := strings.ReplaceAll(text(list[1]), "A", "g$lshztxed")
	if !strings.Contains(flags, "K") || !strings.ContainsAny(flags, "lshzt") {
		return "", refusal{fmt.Sprintf("keyspace notifications: notify-keyspace-events is %q", text(list[1]))}
	}
	return flags, nil
}

// hear wakes what is told on the ear until its connection is lost.
func (n *node) hear(ctx context.Context, e *ear) error {
	n.wakes.addEverything()
	asked := false
	for {
		message, err := e.pubsub.ReceiveTimeout(ctx, silence)
		switch {
		case err == nil:
			asked = false
			n.heard(e, message)
		case isFlush(err):
			n.wakes.addEverything()
		case isTimeout(err) && !asked && ctx.Err() == nil:
			asked = true
			if err := e.pubsub.Ping(ctx); err != nil {
				return fmt.Errorf("%w: %w", errDeaf, err)
			}
		case isServerError(err):
			// A subscription was refused; what it was for stays unarmed. The rest of the
			// server's words may name a key, and whose it is is not known here.
			code, _, _ := strings.Cut(serverText(err), " ")
			n.log.Warn("subscription refused", "error", code)
		default:
			return fmt.Errorf("%w: %w", errDeaf, err)
		}
	}
}

func (n *node) heard(e *ear, message any) {
	switch m := message.(type) {
	case *redis.Pong:
		e.answered(m)
	case *redis.Message:
		keys := m.PayloadSlice
		if e.mode == wakeKeyspace {
			keys = []string{strings.TrimPrefix(m.Channel, e.prefix)}
		}
		n.wakes.add(n.watch.changed(keys))
	case *redis.Subscription:
		if e.mode == wakeKeyspace && m.Kind == "subscribe" {
			key := strings.TrimPrefix(m.Channel, e.prefix)
			e.confirm(key)
			// It was read before it could be heard: once more.
			n.wakes.add(n.watch.queries(key))
		}
	}
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
