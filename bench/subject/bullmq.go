package subject

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/backlog-scaler/backlog-scaler/bench/measurement"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// bullmqQueues is how many queues of BullMQ are read in one batch.
const bullmqQueues = 2000

// bullmq reads queues of BullMQ that exist and are empty: named one by one, and found
// by a pattern in one trigger. The bare client sends the same commands next to both,
// fourteen for each queue, in one pipeline.
func bullmq(ctx context.Context, source backlog.Source, bare *goredis.Client) ([]measurement.Measurement, error) {
	names := make([]string, bullmqQueues)
	queries := make([]backlog.Query, bullmqQueues)
	pipe := bare.Pipeline()
	for i := range names {
		names[i] = fmt.Sprintf("tenant-%d", i)
		queries[i] = backlog.Query{Layout: "bullmq", Queue: names[i]}
		pipe.HSet(ctx, "bull:"+names[i]+":meta", "opts.maxLenEvents", 10000)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("make queues: %w", err)
	}
	pattern := []backlog.Query{{Layout: "bullmq", Queue: "tenant-*"}}
	var measurements []measurement.Measurement
	for _, own := range []struct {
		name    string
		queries []backlog.Query
	}{{"read_bullmq_2000", queries}, {"read_bullmq_pattern_2000", pattern}} {
		if err := armed(ctx, source, own.queries); err != nil {
			return nil, err
		}
		var results []backlog.Result
		wall, _, err := compare(
			func() (err error) { results, err = read(ctx, source, own.queries, results); return err },
			func() error { return bullmqBare(ctx, bare, names) },
		)
		if err != nil {
			return nil, err
		}
		measurements = append(measurements, wall.Measurement(own.name, "ms", measurement.Bound{}))
	}
	zero, err := zeroTransition(ctx, source, bare, names, queries)
	if err != nil {
		return nil, err
	}
	return append(measurements, zero), nil
}

// zeroRounds is how often all queues become empty.
const zeroRounds = 21

// zeroTransition reads queues that have all just become empty, which is believed only
// after a second read. The baseline is the same queues once more, which need none.
func zeroTransition(ctx context.Context, source backlog.Source, bare *goredis.Client, names []string, queries []backlog.Query) (measurement.Measurement, error) {
	var wall measurement.Rounds
	var results []backlog.Result
	read := func() (err error) { results, err = read(ctx, source, queries, results); return err }
	for range zeroRounds {
		fill, drain := bare.Pipeline(), bare.Pipeline()
		for _, name := range names {
			fill.LPush(ctx, "bull:"+name+":wait", "1")
			drain.Del(ctx, "bull:"+name+":wait")
		}
		if _, err := fill.Exec(ctx); err != nil {
			return measurement.Measurement{}, fmt.Errorf("fill queues: %w", err)
		}
		if err := read(); err != nil {
			return measurement.Measurement{}, err
		}
		if _, err := drain.Exec(ctx); err != nil {
			return measurement.Measurement{}, fmt.Errorf("drain queues: %w", err)
		}
		became, _, err := timed(read)
		if err != nil {
			return measurement.Measurement{}, err
		}
		if err := armed(ctx, source, queries); err != nil {
			return measurement.Measurement{}, err
		}
		stayed, _, err := timed(read)
		if err != nil {
			return measurement.Measurement{}, err
		}
		wall.Add(milliseconds(became), milliseconds(stayed))
	}
	return wall.Measurement("read_zero_transition", "ms", measurement.Bound{}), nil
}

// bullmqBare sends what the layout sends.
func bullmqBare(ctx context.Context, client *goredis.Client, names []string) error {
	pipe := client.Pipeline()
	now := strconv.FormatInt(time.Now().UnixMilli()*4096, 10)
	for _, name := range names {
		key := func(part string) string { return "bull:" + name + ":" + part }
		pipe.ZCount(ctx, key("delayed"), "-inf", now)
		pipe.ZRangeWithScores(ctx, key("delayed"), 0, 0)
		pipe.Do(ctx, "ZRANGE", key("delayed"), "("+now, "+inf", "BYSCORE", "LIMIT", 0, 1, "WITHSCORES")
		for _, list := range []string{"wait", "paused"} {
			pipe.LLen(ctx, key(list))
			pipe.LIndex(ctx, key(list), -1)
		}
		for _, set := range []string{"prioritized", "groups", "groups:limit", "groups:max"} {
			pipe.ZCard(ctx, key(set))
		}
		pipe.LLen(ctx, key("active"))
		pipe.HMGet(ctx, key("meta"), "paused", "concurrency", "opts.maxLenEvents", "version")
		pipe.Exists(ctx, key("meta-paused"))
	}
	// An empty list has no element.
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, goredis.Nil) {
		return fmt.Errorf("read %d queues of BullMQ: %w", len(names), err)
	}
	return nil
}
