package subject

import (
	"context"
	"errors"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// invalidations is the channel on which Redis tells which tracked keys have changed.
const invalidations = "__redis__:invalidate"

// A listener hears from Redis which keys have changed, with nothing of the scaler
// between: the least that a wake-up can take.
type listener struct {
	reader *goredis.Client
	words  <-chan *goredis.Message
}

// listen opens a connection that reads and one that hears what became of what was read.
func (s *stage) listen(ctx context.Context, r *redis) (*listener, error) {
	var id int64
	hearer := goredis.NewClient(&goredis.Options{
		Addr: r.address, Protocol: 2, DisableIdentity: true,
		OnConnect: func(ctx context.Context, cn *goredis.Conn) (err error) {
			id, err = cn.ClientID(ctx).Result()
			return err
		},
	})
	heard := hearer.Subscribe(ctx, invalidations)
	s.endings = append(s.endings, func() error { return errors.Join(heard.Close(), hearer.Close()) })
	if _, err := heard.Receive(ctx); err != nil {
		return nil, fmt.Errorf("listen for changes: %w", err)
	}
	// One connection, for pipelines too: tracking belongs to a connection.
	reader := goredis.NewClient(&goredis.Options{Addr: r.address, Protocol: 2, DisableIdentity: true, PoolSize: 1, PipelinePoolSize: -1})
	s.endings = append(s.endings, reader.Close)
	if err := reader.Do(ctx, "CLIENT", "TRACKING", "ON", "REDIRECT", id).Err(); err != nil {
		return nil, fmt.Errorf("track changes: %w", err)
	}
	return &listener{reader: reader, words: heard.Channel(goredis.WithChannelSize(2 * triggers))}, nil
}

// time writes a key and returns how long it takes until that is heard.
func (l *listener) time(ctx context.Context, r *redis, key string) (time.Duration, error) {
	if err := l.reader.LLen(ctx, key).Err(); err != nil {
		return 0, fmt.Errorf("read %s: %w", key, err)
	}
	began := time.Now()
	if err := r.client.RPush(ctx, key, "x").Err(); err != nil {
		return 0, fmt.Errorf("write %s: %w", key, err)
	}
	if err := l.hear(ctx, 1); err != nil {
		return 0, err
	}
	return time.Since(began), nil
}

// storm writes all keys at once and returns how long it takes until all is heard.
func (l *listener) storm(ctx context.Context, r *redis, keys []string) (time.Duration, error) {
	own := &redis{client: l.reader}
	if err := own.each(ctx, "LLEN", keys); err != nil {
		return 0, err
	}
	began := time.Now()
	if err := r.push(ctx, keys); err != nil {
		return 0, err
	}
	if err := l.hear(ctx, len(keys)); err != nil {
		return 0, err
	}
	return time.Since(began), r.pop(ctx, keys)
}

// hear waits until n keys are heard of.
func (l *listener) hear(ctx context.Context, n int) error {
	for n > 0 {
		select {
		case word, open := <-l.words:
			if !open {
				return errors.New("hear of a change: the connection is lost")
			}
			n -= len(word.PayloadSlice)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
