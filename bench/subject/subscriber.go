package subject

import (
	"context"
	"errors"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/backlog-scaler/backlog-scaler/bench/redisserver"
)

// invalidations is the channel on which Redis invalidates tracked keys.
const invalidations = "__redis__:invalidate"

// A subscriber receives the invalidations of Redis without the scaler: the least that a wake-up can take.
type subscriber struct {
	reader   *goredis.Client
	messages <-chan *goredis.Message
}

// subscribe opens a connection that reads keys, and one that receives their invalidations.
func (s *stage) subscribe(ctx context.Context, r *redisserver.Server) (*subscriber, error) {
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
		return nil, fmt.Errorf("subscribe to invalidations: %w", err)
	}
	// One connection, for pipelines too: tracking belongs to a connection.
	reader := goredis.NewClient(&goredis.Options{Addr: r.Address, Protocol: 2, DisableIdentity: true, PoolSize: 1, PipelinePoolSize: -1})
	s.endings = append(s.endings, reader.Close)
	if err := reader.Do(ctx, "CLIENT", "TRACKING", "ON", "REDIRECT", id).Err(); err != nil {
		return nil, fmt.Errorf("track changes: %w", err)
	}
	return &subscriber{reader: reader, messages: subscription.Channel(goredis.WithChannelSize(2 * triggers))}, nil
}

// time writes a key and returns the time until its invalidation.
func (s *subscriber) time(ctx context.Context, r *redisserver.Server, key string) (time.Duration, error) {
	if err := s.reader.LLen(ctx, key).Err(); err != nil {
		return 0, fmt.Errorf("read %s: %w", key, err)
	}
	began := time.Now()
	if err := r.Client.RPush(ctx, key, "x").Err(); err != nil {
		return 0, fmt.Errorf("write %s: %w", key, err)
	}
	if err := s.await(ctx, 1); err != nil {
		return 0, err
	}
	return time.Since(began), nil
}

// storm writes all keys at once and returns the time until the last invalidation.
func (s *subscriber) storm(ctx context.Context, r *redisserver.Server, keys []string) (time.Duration, error) {
	own := &redisserver.Server{Client: s.reader}
	if err := own.Each(ctx, "LLEN", keys); err != nil {
		return 0, err
	}
	began := time.Now()
	if err := r.Push(ctx, keys); err != nil {
		return 0, err
	}
	if err := s.await(ctx, len(keys)); err != nil {
		return 0, err
	}
	return time.Since(began), r.Pop(ctx, keys)
}

// await waits for n invalidations.
func (s *subscriber) await(ctx context.Context, n int) error {
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
