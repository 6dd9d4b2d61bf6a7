package redis

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// An ear is one live connection on which changes are heard.
type ear struct {
	mode   string // wakeTracking or wakeKeyspace
	id     int64  // of the connection, as the server knows it
	pubsub *redis.PubSub
	prefix string // of the channels of keyspace notifications
	flags  string // notify-keyspace-events, with A spelled out

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
	plain, err := dial(ctx, n.cfg, n.address)
	if err != nil {
		return nil, err
	}
	inner := guard(plain, true)
	defer func() {
		if errors.Is(err, backlog.ErrPanic) {
			_ = inner.Close()
		}
	}()
	defer backlog.Contain(&err)
	client := newClient(n.cfg, n.cfg.login, n.cfg.database, n.address, inner, func(ctx context.Context, cn *redis.Conn) (err error) {
		if !n.isPlain() {
			// The name is a courtesy; a server that refuses it is no worse.
			_ = cn.ClientSetName(ctx, n.cfg.clientName).Err()
		}
		if e.mode == wakeTracking {
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
	return closeEar, nil
}

// A hearing is what was heard of before a read began.
type hearing struct {
	ear *ear
	// keys tells for each command whether keyspace notifications of its key come in.
	keys []bool
}

// prepareToHear makes the ear hear of the keys of commands. The caller holds turn.
func (n *node) prepareToHear(ctx context.Context, commands []command) hearing {
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
func (n *node) markArmed(h hearing, commands []command, replies []reply) {
	e := n.hearing()
	if e == nil || n.session == nil {
		return
	}
	for i := range replies {
		switch {
		case commands[i].asking:
		case e.mode == wakeTracking:
			replies[i].armed = n.session.tracked == e.id
		default:
			replies[i].armed = h.ear == e && h.keys[i]
		}
	}
}

// want notes the keys of commands. It returns for each command whether its key is
// heard of, and the channels that have to be subscribed to.
func (e *ear) want(commands []command) (heard []bool, channels []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	heard = make([]bool, len(commands))
	for i, c := range commands {
		if c.class == 0 || strings.IndexByte(e.flags, c.class) < 0 {
			continue
		}
		confirmed, known := e.channels[c.key]
		heard[i] = confirmed
		if !known {
			e.channels[c.key] = false
			channels = append(channels, e.prefix+c.key)
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
