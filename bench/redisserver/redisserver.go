// Package redisserver is a redis-server under measurement: what it has done, and many commands at once.
package redisserver

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	goredis "github.com/redis/go-redis/v9"
)

// A Server is a redis-server that runs.
type Server struct {
	Address string
	// Name is its name and version.
	Name   string
	Client *goredis.Client
}

// Number returns a field of the server's INFO. Of a line such as
// "cmdstat_llen:calls=3,usec=7" it is the number of calls; what is not there is 0.
func (r *Server) Number(ctx context.Context, section, name string) (float64, error) {
	text, err := r.Client.Info(ctx, section).Result()
	if err != nil {
		return 0, fmt.Errorf("ask redis for %s: %w", section, err)
	}
	for line := range strings.Lines(text) {
		value, found := strings.CutPrefix(strings.TrimSpace(line), name+":")
		if !found {
			continue
		}
		value, _, _ = strings.Cut(strings.TrimPrefix(value, "calls="), ",")
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return 0, fmt.Errorf("ask redis for %s: %w", name, err)
		}
		return n, nil
	}
	return 0, nil
}

// A Cost is the work of a server since its start.
type Cost struct {
	// Commands is how many; CPU is in seconds.
	Commands, CPU float64
}

// Cost returns the work of the server since its start.
func (r *Server) Cost(ctx context.Context) (c Cost, err error) {
	for _, item := range []struct {
		to            *float64
		section, name string
	}{
		{&c.Commands, "stats", "total_commands_processed"},
		{&c.CPU, "cpu", "used_cpu_user"},
		{&c.CPU, "cpu", "used_cpu_sys"},
	} {
		n, err := r.Number(ctx, item.section, item.name)
		if err != nil {
			return Cost{}, err
		}
		*item.to += n
	}
	return c, nil
}

// Minus is the work since an earlier cost.
func (c Cost) Minus(earlier Cost) Cost {
	return Cost{Commands: c.Commands - earlier.Commands, CPU: c.CPU - earlier.CPU}
}

// chunk is how many commands of many go out at once.
const chunk = 1000

// Push adds one message to each of the lists.
func (r *Server) Push(ctx context.Context, lists []string) error {
	return r.Each(ctx, "RPUSH", lists, "x")
}

// Pop takes the message of each list away again.
func (r *Server) Pop(ctx context.Context, lists []string) error { return r.Each(ctx, "DEL", lists) }

// Each runs a command for each of the keys, in as few round trips as make sense.
func (r *Server) Each(ctx context.Context, command string, keys []string, arguments ...any) error {
	for len(keys) > 0 {
		n := min(chunk, len(keys))
		pipe := r.Client.Pipeline()
		for _, key := range keys[:n] {
			pipe.Do(ctx, append([]any{command, key}, arguments...)...)
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return fmt.Errorf("%s of %d keys: %w", command, n, err)
		}
		keys = keys[n:]
	}
	return nil
}
