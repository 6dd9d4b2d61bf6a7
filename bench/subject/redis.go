package subject

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	goredis "github.com/redis/go-redis/v9"
)

// A redis is a redis-server and its statistics.
type redis struct {
	address string
	name    string
	client  *goredis.Client
}

// number returns a field of the server's INFO. Of a line such as
// "cmdstat_llen:calls=3,usec=7" it is the number of calls; what is not there is 0.
func (r *redis) number(ctx context.Context, section, name string) (float64, error) {
	text, err := r.client.Info(ctx, section).Result()
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

// A cost is the work of a server since its start.
type cost struct {
	// commands is how many; cpu is in seconds.
	commands, cpu float64
}

func (r *redis) cost(ctx context.Context) (c cost, err error) {
	for _, item := range []struct {
		to            *float64
		section, name string
	}{
		{&c.commands, "stats", "total_commands_processed"},
		{&c.cpu, "cpu", "used_cpu_user"},
		{&c.cpu, "cpu", "used_cpu_sys"},
	} {
		n, err := r.number(ctx, item.section, item.name)
		if err != nil {
			return cost{}, err
		}
		*item.to += n
	}
	return c, nil
}

// minus is the work since an earlier cost.
func (c cost) minus(earlier cost) cost {
	return cost{commands: c.commands - earlier.commands, cpu: c.cpu - earlier.cpu}
}

// chunk is how many commands of many go out at once.
const chunk = 1000

// push adds one message to each of the lists, and pop takes it away again.
func (r *redis) push(ctx context.Context, lists []string) error {
	return r.each(ctx, "RPUSH", lists, "x")
}

func (r *redis) pop(ctx context.Context, lists []string) error { return r.each(ctx, "DEL", lists) }

// each runs a command for each of the keys, in as few round trips as make sense.
func (r *redis) each(ctx context.Context, command string, keys []string, arguments ...any) error {
	for len(keys) > 0 {
		n := min(chunk, len(keys))
		pipe := r.client.Pipeline()
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
