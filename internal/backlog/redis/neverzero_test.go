package redis_test

import (
	"context"
	"maps"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// TestNeverZero: whatever is written before the commands of a read, as long as there is
// work at each moment no reading is without any.
func TestNeverZero(t *testing.T) {
	t.Parallel()
	for name, w := range wanderers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			server.Do("SADD", "processes", "host:1:a")
			server.Do(layouttest.Words(w.begin)...)
			proxy := redistest.StartProxy(t, server.Addr(), nil)
			source := backlogtest.Open(t, redis.Engine(), layouttest.Connection([]string{proxy.Addr()}, nil))
			scripts := slices.Sorted(maps.Values(w.moves))
			// What is still to be written, by the number of the script; one more is nothing.
			var mu sync.Mutex
			var plan []int
			for command := range w.moves {
				proxy.Before(command, func() {
					mu.Lock()
					defer mu.Unlock()
					for range 2 {
						if len(plan) == 0 {
							return
						}
						next := plan[0]
						plan = plan[1:]
						if next < len(scripts) {
							server.Do("EVAL", scripts[next], 0)
						}
					}
				})
			}
			rapid.Check(t, func(r *rapid.T) {
				drawn := rapid.SliceOfN(rapid.IntRange(0, len(scripts)), 0, 40).Draw(r, "writes")
				mu.Lock()
				plan = drawn
				mu.Unlock()
				for range 3 {
					if got := backlogtest.MustRead(t, source, w.query); got.Backlog() == 0 {
						r.Fatalf("%+v although there was work at each moment", got)
					}
				}
			})
		})
	}
}

// TestNeverZeroUnderLoad reads while a client moves the only job to and fro as fast as it can.
func TestNeverZeroUnderLoad(t *testing.T) {
	t.Parallel()
	for name, w := range wanderers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			server.Do("SADD", "processes", "host:1:a")
			server.Do(layouttest.Words(w.begin)...)
			client := server.Client()
			underLoad(t, layouttest.OpenServer(t, server, nil), w.query, 3000, func(ctx context.Context) {
				for _, move := range w.moves {
					client.Eval(ctx, move, nil)
				}
			})
		})
	}
}

// TestNeverZeroOfAStream: its only entry is served, and acknowledged with the next one added.
func TestNeverZeroOfAStream(t *testing.T) {
	t.Parallel()
	layouttest.EachServer(t, func(t *testing.T, _ redistest.Version, server *redistest.Server) {
		t.Helper()
		server.Do("XGROUP", "CREATE", "s", "g", "0", "MKSTREAM")
		server.Do("XADD", "s", "*", "a", "b")
		client := server.Client()
		underLoad(t, layouttest.OpenServer(t, server, nil), stream("s", "g"), 1000, func(ctx context.Context) {
			client.Eval(ctx, `local got = redis.call('XREADGROUP', 'GROUP', 'g', 'c', 'STREAMS', 's', '>')
				return got and got[1][2][1][1]`, nil)
			client.Eval(ctx, `local p = redis.call('XPENDING', 's', 'g', '-', '+', 1)
				redis.call('XADD', 's', '*', 'a', 'b')
				redis.call('XACK', 's', 'g', p[1][1]) redis.call('XDEL', 's', p[1][1])`, nil)
		})
	})
}

// underLoad reads a queue that has work at each moment while write goes on.
func underLoad(t *testing.T, source backlog.Source, q backlog.Query, reads int, write func(context.Context)) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	var writing sync.WaitGroup
	writing.Go(func() {
		for ctx.Err() == nil {
			write(ctx)
		}
	})
	defer writing.Wait()
	defer stop()
	zeros := 0
	for range reads {
		if r := backlogtest.MustRead(t, source, q); r.Backlog() == 0 {
			zeros++
		}
	}
	if zeros > 0 {
		t.Errorf("%d of %d readings are without work", zeros, reads)
	}
}
