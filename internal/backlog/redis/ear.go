package redis

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// An ear is one live connection on which changes are heard.
type ear struct {
	mode   string // wakeTracking or wakeKeyspace
	id     int64  // of the connection, as the server knows it
	server resp.Server
	pubsub *redis.PubSub
	prefix string // of the channels of keyspace notifications
	flags  string // notify-keyspace-events, with A spelled out

	// again is when to try again what is better and was refused; zero if nothing was. It
	// belongs to the listener.
	again time.Time

	// conn is the connection, and why is the reason for which end has closed it.
	conn io.Closer
	why  atomic.Pointer[error]

	// asked counts the questions of ask; it belongs to the holder of turn. answers has
	// room for one answer, and is nil where nobody asks.
	asked   uint64
	answers chan string

	// mu guards channels: the reader adds, the listener confirms.
	mu sync.Mutex
	// channels tells of each key that was asked for whether it is confirmed.
	channels map[string]bool
}

// connect opens the connection of an ear. closeEar ends it.
func (n *node) connect(ctx context.Context, e *ear) (closeEar func(), err error) {
	raw, err := dial(ctx, n.cfg, n.address)
	if err != nil {
		return nil, err
	}
	inner := guard(raw, true)
	defer func() {
		if errors.Is(err, backlog.ErrPanic) {
			_ = inner.Close()
		}
	}()
	defer backlog.Contain(&err)
	e.conn = inner
	client := newClient(n.cfg, n.cfg.login, n.cfg.database, n.address, inner, func(ctx context.Context, cn *redis.Conn) (err error) {
		m := n.showManners()
		if m == polite {
			// The name is a courtesy; a server that refuses it is no worse.
			_ = cn.ClientSetName(ctx, n.cfg.clientName).Err()
		}
		if m != plain {
			// On a connection that is subscribed the server cannot be asked any more.
			e.server = newIdentity(cn.Info(ctx, "server").Val())
		}
		if e.mode == wakeTracking && e.server.RunID != "" {
			e.id, err = cn.ClientID(ctx).Result()
		}
		return err
	})
	e.pubsub = client.Subscribe(ctx)
	// Receiving does not end with its context.
	stop := context.AfterFunc(ctx, func() { _ = inner.Close() })
	closeEar = func() {
		stop()
		_ = e.pubsub.Close()
		_ = client.Close()
		_ = inner.Close()
	}
	if err := e.pubsub.Ping(ctx); err != nil {
		closeEar()
		return nil, refusedOr(err, "a second connection")
	}
	if _, err := e.pubsub.ReceiveTimeout(ctx, n.cfg.answerTimeout); err != nil {
		closeEar()
		return nil, refusedOr(err, "a second connection")
	}
	if e.server.RunID == "" {
		closeEar()
		return nil, refusal{unproven}
	}
	return closeEar, nil
}

// unproven is why changes are not listened to where the server does not say which one it
// is: behind a balancer one connection may lead to another server than the next.
const unproven = "the server does not name its run (run_id of INFO server), so it cannot be known that both connections are to the same server"

// errElsewhere is a connection that leads to another server than the one that is listened to.
var errElsewhere = errors.New("the connections that read and listen lead to different servers")

// end closes the connection, for the reason err. It does not wait.
func (e *ear) end(err error) {
	e.why.CompareAndSwap(nil, &err)
	_ = e.conn.Close()
}

// lost returns why the connection was lost: err, unless end was called.
func (e *ear) lost(err error) error {
	why := e.ended()
	var refused refusal
	switch {
	case errors.As(why, &refused), errors.Is(why, errDeaf), errors.Is(why, errElsewhere):
		return why
	case why != nil:
		err = why
	}
	return fmt.Errorf("%w: %w", errDeaf, err)
}

// ended returns why end was called, nil if it was not.
func (e *ear) ended() error {
	if why := e.why.Load(); why != nil {
		return *why
	}
	return nil
}

// join makes the server report to e what changes of the keys that s reads, if e hears by
// tracking. It returns errElsewhere if they are connected to different servers, and a
// refusal if the server does not allow it or that cannot be known.
func (s *session) join(ctx context.Context, e *ear) error {
	switch {
	case s.server.RunID == "":
		return refusal{unproven}
	case !s.server.IsSame(e.server):
		return errElsewhere
	case e.mode != wakeTracking || s.tracked == e:
		return nil
	}
	err := s.track(ctx, e)
	if resp.IsServerError(err) && isTooOld(s.server.String()) {
		return refusal{"client tracking: " + s.server.Title() + ": 6.0 is needed"}
	}
	return refusedOr(err, "client tracking")
}

// A hearing is what was heard of before a read began.
type hearing struct {
	ear *ear
	// keys tells for each command whether keyspace notifications of its key come in.
	keys []bool
}

// prepareToHear makes the ear hear of the keys of commands. The caller holds turn.
func (n *node) prepareToHear(ctx context.Context, commands []resp.Command) hearing {
	e := n.hearing()
	if e == nil || e.mode != wakeKeyspace {
		return hearing{ear: e}
	}
	heard, wanted := e.want(commands)
	if len(wanted) > 0 {
		// A connection that fails is noticed by the listener.
		_ = e.pubsub.Subscribe(ctx, wanted...)
	}
	return hearing{ear: e, keys: heard}
}

// markArmed says of each reply whether the next change of its key will be heard. The
// caller holds turn.
func (n *node) markArmed(h hearing, commands []resp.Command, replies []resp.Reply) {
	e := n.hearing()
	if e == nil || e.ended() != nil || n.session == nil || !n.session.server.IsSame(e.server) {
		return
	}
	for i := range replies {
		switch {
		case commands[i].Asking:
		case e.mode == wakeTracking:
			replies[i].Armed = n.session.tracked == e
		default:
			replies[i].Armed = h.ear == e && h.keys[i]
		}
	}
}

// want notes the keys of commands. It returns for each command whether its key is
// heard of, and the channels that have to be subscribed to.
func (e *ear) want(commands []resp.Command) (heard []bool, channels []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	heard = make([]bool, len(commands))
	for i, c := range commands {
		if c.KeyType == 0 || strings.IndexByte(e.flags, c.KeyType) < 0 {
			continue
		}
		confirmed, known := e.channels[c.Key]
		heard[i] = confirmed
		if !known {
			e.channels[c.Key] = false
			channels = append(channels, e.prefix+c.Key)
		}
	}
	return heard, channels
}

func (e *ear) confirm(key string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.channels[key] = true
}

// forget stops hearing of keys that nobody reads any more.
func (n *node) forget(keys []string) {
	e := n.hearing()
	if e == nil || e.mode != wakeKeyspace {
		return
	}
	e.mu.Lock()
	var channels []string
	for _, key := range keys {
		if _, known := e.channels[key]; known {
			delete(e.channels, key)
			channels = append(channels, e.prefix+key)
		}
	}
	e.mu.Unlock()
	if len(channels) > 0 {
		// A connection that fails is noticed by the listener.
		_ = e.pubsub.Unsubscribe(n.life, channels...)
	}
}
