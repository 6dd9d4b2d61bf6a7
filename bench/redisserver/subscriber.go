package redisserver

import (
	"context"
	"errors"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// invalidations is the channel on which Redis invalidates tracked keys.
const invalidations = "__redis__:invalidate"

// A Subscriber receives the invalidations of Redis without the scaler: the least that a wake-up can take.
type Subscriber struct {
	server   *Server
	reader   *goredis.Client
	messages <-chan *goredis.Message
	endings  []func() error
}

// Subscribe opens a connection that reads keys, and one that receives their invalidations. At most so many
// invalidations wait to be taken. The caller closes the Subscriber, also next to an error.
func (r *Server) Subscribe(ctx context.Context, pending int) (*Subscriber, error) {
	s := &Subscriber{server: r}
	var id int64
	client := goredis.NewClient(&goredis.Options{
		Addr: r.Address, Protocol: 2, DisableIdentity: true,
		OnConnect: func(ctx context.Context, cn *goredis.Conn) (err error) {
			id, err = cn.ClientID(ctx).Result()
			return err
		},
	})
	subscription := client.Subscribe(ctx, invalidations)
	s.endings = append(s.endings, func() error { return errors.Join(subscription.Close(), client.Close()) })
	if _, err := subscription.Receive(ctx); err != nil {
		return s, fmt.Errorf("subscribe to invalidations: %w", err)
	}
	// One connection, for pipelines too: tracking belongs to a connection.
	s.reader = goredis.NewClient(&goredis.Options{Addr: r.Address, Protocol: 2, DisableIdentity: true, PoolSize: 1, PipelinePoolSize: -1})
	s.endings = append(s.endings, s.reader.Close)
	if err := s.reader.Do(ctx, "CLIENT", "TRACKING", "ON", "REDIRECT", id).Err(); err != nil {
		return s, fmt.Errorf("track changes: %w", err)
	}
	s.messages = subscription.Channel(goredis.WithChannelSize(pending))
	return s, nil
}

// Close ends the connections.
func (s *Subscriber) Close() error {
	var errs []error
	for _, end := range s.endings {
		errs = append(errs, end())
	}
	return errors.Join(errs...)
}

// Time writes a key and returns the time until its invalidation.
func (s *Subscriber) Time(ctx context.Context, key string) (time.Duration, error) {
	if err := s.reader.LLen(ctx, key).Err(); err != nil {
		return 0, fmt.Errorf("read %s: %w", key, err)
	}
	began := time.Now()
	if err := s.server.Client.RPush(ctx, key, "x").Err(); err != nil {
		return 0, fmt.Errorf("write %s: %w", key, err)
	}
	if err := s.await(ctx, 1); err != nil {
		return 0, err
	}
	return time.Since(began), nil
}

// Storm writes all keys at once and returns the time until the last invalidation.
func (s *Subscriber) Storm(ctx context.Context, keys []string) (time.Duration, error) {
	own := &Server{Client: s.reader}
	if err := own.Each(ctx, "LLEN", keys); err != nil {
		return 0, err
	}
	began := time.Now()
	if err := s.server.Push(ctx, keys); err != nil {
		return 0, err
	}
	if err := s.await(ctx, len(keys)); err != nil {
		return 0, err
	}
	return time.Since(began), s.server.Pop(ctx, keys)
}

// await waits for n invalidations.
func (s *Subscriber) await(ctx context.Context, n int) error {
	for n > 0 {
		select {
		case message, open := <-s.messages:
			if !open {
				return errors.New("wait for an invalidation: the connection is lost")
			}
			n -= len(message.PayloadSlice)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
