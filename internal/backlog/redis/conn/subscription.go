package conn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// A Subscription is one connection on which a server publishes messages. One goroutine
// receives; any may use the other methods.
type Subscription struct {
	// ID is the server's id of the connection, and Server the one at the other end, if
	// Introduction allowed to ask for them.
	ID     int64
	Server resp.Server

	conn   net.Conn
	client *redis.Client
	pubsub *redis.PubSub
	// stop ends the wait for the end of the context of Listen.
	stop func() bool
}

// An Introduction is what a subscription asks and says before it subscribes to anything: on a
// connection that is subscribed the server cannot be asked any more.
type Introduction struct {
	// Name sets the name of the connection.
	Name bool
	// Info asks which server it is, and ID for the id of the connection.
	Info, ID bool
}

// Listen opens a subscription, which ends with ctx. The caller closes it.
func Listen(ctx context.Context, cfg *Config, address string, intro Introduction) (s *Subscription, err error) {
	raw, err := dial(ctx, cfg, address)
	if err != nil {
		return nil, err
	}
	s = &Subscription{conn: guard(raw, true)}
	defer func() {
		if errors.Is(err, backlog.ErrPanic) {
			s.Abort()
		}
	}()
	defer backlog.Contain(&err)
	s.client = newClient(cfg, cfg.Login, cfg.Database, address, s.conn, func(ctx context.Context, cn *redis.Conn) error {
		return s.introduce(ctx, cn, cfg.ClientName, intro)
	})
	s.pubsub = s.client.Subscribe(ctx)
	// Receiving does not end with its context.
	s.stop = context.AfterFunc(ctx, s.Abort)
	err = s.pubsub.Ping(ctx)
	if err == nil {
		_, err = s.pubsub.ReceiveTimeout(ctx, cfg.AnswerTimeout)
	}
	if err != nil {
		s.Close()
		return nil, fmt.Errorf("a second connection: %w", err)
	}
	return s, nil
}

func (s *Subscription) introduce(ctx context.Context, cn *redis.Conn, name string, intro Introduction) (err error) {
	if intro.Name {
		// A server that refuses the name can be listened to.
		_ = cn.ClientSetName(ctx, name).Err()
	}
	if intro.Info {
		s.Server = Identify(cn.Info(ctx, "server").Val())
	}
	if intro.ID && s.Server.RunID != "" {
		s.ID, err = cn.ClientID(ctx).Result()
	}
	return err
}

// Subscribe asks for the messages on channels.
func (s *Subscription) Subscribe(ctx context.Context, channels ...string) error {
	return s.pubsub.Subscribe(ctx, channels...)
}

// Unsubscribe ends Subscribe.
func (s *Subscription) Unsubscribe(ctx context.Context, channels ...string) error {
	return s.pubsub.Unsubscribe(ctx, channels...)
}

// Ping asks the server to answer with payload, behind all that it has published until then.
func (s *Subscription) Ping(ctx context.Context, payload ...string) error {
	return s.pubsub.Ping(ctx, payload...)
}

// What a server sends on a subscription.
type (
	// A Message was published on a channel. Payload has several elements where the server
	// reports several keys at once.
	Message struct {
		Channel string
		Payload []string
	}
	// Subscribed confirms Subscribe for one channel.
	Subscribed struct{ Channel string }
	// A Pong answers Ping.
	Pong struct{ Payload string }
	// Flushed is an invalidation without keys, which a server sends when it was emptied.
	Flushed struct{}
	// Other is anything else, such as the confirmation of Unsubscribe.
	Other struct{}
)

// Receive returns what the server sends next: one of the types above. The error is a timeout
// (network.IsTimeout), a subscription that the server refuses (resp.IsServerError), or the end of the
// connection.
func (s *Subscription) Receive(ctx context.Context, timeout time.Duration) (any, error) {
	message, err := s.pubsub.ReceiveTimeout(ctx, timeout)
	if isFlush(err) {
		return Flushed{}, nil
	}
	if err != nil {
		return nil, err
	}
	switch m := message.(type) {
	case *redis.Pong:
		return Pong{m.Payload}, nil
	case *redis.Message:
		return Message{Channel: m.Channel, Payload: m.PayloadSlice}, nil
	case *redis.Subscription:
		if m.Kind == "subscribe" {
			return Subscribed{m.Channel}, nil
		}
	}
	return Other{}, nil
}

// isFlush reports whether err is what go-redis makes of an invalidation without keys: its
// payload is null.
func isFlush(err error) bool {
	return err != nil && strings.Contains(err.Error(), "unsupported pubsub message payload: <nil>")
}

// Abort ends the connection without waiting.
func (s *Subscription) Abort() { _ = s.conn.Close() }

// Close ends the subscription.
func (s *Subscription) Close() {
	s.stop()
	_ = s.pubsub.Close()
	_ = s.client.Close()
	s.Abort()
}
