package subject

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"syscall"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/backlog-scaler/backlog-scaler/bench/measurement"
	"github.com/backlog-scaler/backlog-scaler/bench/redisserver"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/engines"
	"github.com/backlog-scaler/backlog-scaler/internal/config"
)

// readRounds is how often each side reads all queues.
const readRounds = 101

// Read reads as many queues as there are triggers in one batch. The baseline sends the same commands
// with the bare client in one pipeline. Both are parts of this program. Redis tracks the keys that either reads.
func Read(ctx context.Context, programs Programs) (result Result, err error) {
	s := &stage{programs: programs}
	defer func() { err = errors.Join(err, s.close()) }()
	r, err := s.redis(ctx)
	if err != nil {
		return result, err
	}
	lists := newObjects(triggers).lists
	if err := r.Push(ctx, lists[:triggers/10]); err != nil {
		return result, err
	}
	source, err := s.source(ctx, r)
	if err != nil {
		return result, err
	}
	queries := make([]backlog.Query, len(lists))
	for i, list := range lists {
		queries[i] = backlog.Query{Layout: "list", Queue: list}
	}
	if err := armed(ctx, source, queries); err != nil {
		return result, err
	}
	bare, err := s.bareClient(ctx, r)
	if err != nil {
		return result, err
	}
	var results []backlog.Result
	wall, cpu, err := compare(
		func() (err error) { results, err = read(ctx, source, queries, results); return err },
		func() error { return readBare(ctx, bare, lists) },
	)
	if err != nil {
		return result, err
	}
	jobs, err := bullmq(ctx, source, bare)
	if err != nil {
		return result, err
	}
	result.Measurements = append([]measurement.Measurement{
		wall.Measurement("read_batch", "ms", measurement.RatioAtMost(1.3)),
		cpu.Measurement("read_batch_cpu", "ms", measurement.Bound{}),
	}, jobs...)
	return result, nil
}

// bareClient is go-redis alone, on connections whose keys Redis tracks for another one.
func (s *stage) bareClient(ctx context.Context, r *redisserver.Server) (*goredis.Client, error) {
	subscriber := goredis.NewClient(&goredis.Options{Addr: r.Address, Protocol: 2, DisableIdentity: true, PoolSize: 1})
	id, err := subscriber.ClientID(ctx).Result()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read the id of the subscriber: %w", err), subscriber.Close())
	}
	bare := goredis.NewClient(&goredis.Options{
		Addr: r.Address, Protocol: 2, DisableIdentity: true, PoolSize: 1,
		OnConnect: func(ctx context.Context, conn *goredis.Conn) error {
			return conn.Do(ctx, "CLIENT", "TRACKING", "ON", "REDIRECT", id).Err()
		},
	})
	s.endings = append(s.endings, subscriber.Close, bare.Close)
	return bare, nil
}

// compare has both sides read in turns.
func compare(own, baseline func() error) (wall, cpu measurement.Rounds, err error) {
	for n := range readRounds {
		var ownWall, ownCPU, baselineWall, baselineCPU time.Duration
		err := measurement.InTurns(n,
			func() (err error) { ownWall, ownCPU, err = timed(own); return err },
			func() (err error) { baselineWall, baselineCPU, err = timed(baseline); return err },
		)
		if err != nil {
			return wall, cpu, err
		}
		wall.Add(milliseconds(ownWall), milliseconds(baselineWall))
		cpu.Add(milliseconds(ownCPU), milliseconds(baselineCPU))
	}
	return wall, cpu, nil
}

// timed returns how long do takes, and how much of this program's processor time.
func timed(do func() error) (wall, cpu time.Duration, err error) {
	before, err := used()
	if err != nil {
		return 0, 0, err
	}
	began := time.Now()
	if err := do(); err != nil {
		return 0, 0, err
	}
	wall = time.Since(began)
	after, err := used()
	return wall, after - before, err
}

// used is the processor time that this program has used so far.
func used() (time.Duration, error) {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0, fmt.Errorf("read the time of this program: %w", err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()), nil
}

// source opens the engine's source of r, whose wake-ups go nowhere.
func (s *stage) source(ctx context.Context, r *redisserver.Server) (backlog.Source, error) {
	file, err := s.configuration(r)
	if err != nil {
		return nil, err
	}
	return s.open(ctx, file)
}

// open opens the source of the only connection of a configuration.
func (s *stage) open(ctx context.Context, file string) (backlog.Source, error) {
	all := engines.All()
	loaded, err := config.Load(file, all)
	if err != nil {
		return nil, err
	}
	connection := loaded.Connections[0]
	engine := all[slices.IndexFunc(all, func(e backlog.Engine) bool { return e.Name == connection.Engine })]
	source, err := engine.Open(ctx, connection, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	s.endings = append(s.endings, source.Close)
	return source, nil
}

// armed reads the queues until changes of all of them are noticed.
func armed(ctx context.Context, source backlog.Source, queries []backlog.Query) error {
	for {
		results, err := read(ctx, source, queries, nil)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(results, func(r backlog.Result) bool { return !r.Armed }) {
			return nil
		}
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
}

// read reads queries until none is pending. It uses the memory of results again.
func read(ctx context.Context, source backlog.Source, queries []backlog.Query, results []backlog.Result) ([]backlog.Result, error) {
	results = source.Read(ctx, queries, results[:0])
	// The first read of a pattern begins the search for its queues.
	for {
		var left []int
		var pending []backlog.Query
		for i := range results {
			if results[i].Pending {
				left, pending = append(left, i), append(pending, queries[i])
			}
		}
		if len(left) == 0 {
			break
		}
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return nil, err
		}
		for n, r := range source.Read(ctx, pending, nil) {
			results[left[n]] = r
		}
	}
	for i, r := range results {
		if r.Err != nil {
			return nil, fmt.Errorf("read %s: %w", queries[i].Queue, r.Err)
		}
	}
	return results, nil
}

// readBare takes the lengths of all lists, and makes numbers of the replies.
func readBare(ctx context.Context, client *goredis.Client, lists []string) error {
	pipe := client.Pipeline()
	replies := make([]*goredis.IntCmd, len(lists))
	for i, list := range lists {
		replies[i] = pipe.LLen(ctx, list)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("read %d lists: %w", len(lists), err)
	}
	for i, reply := range replies {
		if reply.Val() < 0 {
			return fmt.Errorf("read %s: length %d", lists[i], reply.Val())
		}
	}
	return nil
}
