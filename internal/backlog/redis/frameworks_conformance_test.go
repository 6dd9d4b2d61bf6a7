package redis_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// A listQueue is a framework whose jobs go from one list to another.
type listQueue struct {
	layout, prefix string
	waiting, taken string // keys of the lists, with %s for the queue
}

// listQueues are the frameworks that the suite of engines runs on, with keys as they
// must be in a cluster. Their own libraries are driven elsewhere: here it matters how
// they are read, on which server and how it fails.
func listQueues() []listQueue {
	return []listQueue{
		{layout: "bullmq", prefix: "{bull}", waiting: "{bull}:%s:wait", taken: "{bull}:%s:active"},
		{layout: "beequeue", prefix: "{bq}", waiting: "{bq}:%s:waiting", taken: "{bq}:%s:active"},
		{layout: "asynq", waiting: "asynq:{%s}:pending", taken: "asynq:{%s}:active"},
	}
}

// frameworkCases are those of listQueues.
func frameworkCases(client writer) []backlogtest.Case {
	k := new(layouttest.Names)
	must := func(t testing.TB, args ...any) {
		t.Helper()
		if err := client.Do(t.Context(), args...).Err(); err != nil {
			t.Fatalf("%v: %v", args, err)
		}
	}
	var all []backlogtest.Case
	for _, l := range listQueues() {
		waiting := func(q backlog.Query) string { return fmt.Sprintf(l.waiting, q.Queue) }
		taken := func(q backlog.Query) string { return fmt.Sprintf(l.taken, q.Queue) }
		all = append(all, backlogtest.Case{
			Name:  l.layout,
			Query: func(testing.TB) backlog.Query { return layouttest.Query(l.layout, k.Next("q"), "prefix", l.prefix) },
			Add: func(t testing.TB, q backlog.Query, n int) {
				t.Helper()
				for range n {
					must(t, "LPUSH", waiting(q), k.Next("job"))
				}
			},
			Take: func(t testing.TB, q backlog.Query, n int) {
				t.Helper()
				for range n {
					must(t, "RPOPLPUSH", waiting(q), taken(q))
				}
			},
			Settle: func(t testing.TB, q backlog.Query, n int) {
				t.Helper()
				for range n {
					must(t, "RPOP", taken(q))
				}
			},
			Spoil: func(t testing.TB, q backlog.Query) {
				t.Helper()
				must(t, "SET", taken(q), "a string")
			},
		})
	}
	return all
}

// TestFrameworkConformance holds layouts of frameworks to the suite, on each server.
func TestFrameworkConformance(t *testing.T) {
	t.Parallel()
	layouttest.ExerciseEverywhere(t, func(server *redistest.Server) []backlogtest.Case { return frameworkCases(server.Client()) })
}

// TestFrameworksInCluster: queues of all nodes in one batch, with the least rights.
func TestFrameworksInCluster(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3, 0)
	var more map[string]any
	for _, m := range c.Masters {
		more = layouttest.User(redistest.Version{Name: "redis-7"}, m, "%R~*", redis.ACLRules, redis.ACLFrameworkRules, redis.ACLClusterRules)
	}
	source := openCluster(t, c, more)
	ear := backlogtest.Listen(t, source)
	all := frameworkCases(c.NewClient(t))
	var queries []backlog.Query
	for range 4 {
		for _, k := range all {
			queries = append(queries, k.Query(t))
		}
	}
	backlogtest.Arm(t, source, ear, queries...)
	for i, q := range queries {
		all[i%len(all)].Add(t, q, i%3+1)
		ear.Await(t, q)
	}
	for i, r := range backlogtest.Read(t, source, queries...) {
		if r.Err != nil || r.Reading.Ready != int64(i%3+1) {
			t.Errorf("%+v reads as %+v, want %d", queries[i], r, i%3+1)
		}
	}
}

// TestTwoThousandBullMQQueues: they are read in one go, and all of them wake.
func TestTwoThousandBullMQQueues(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	source := layouttest.OpenServer(t, server, nil)
	ear := backlogtest.Listen(t, source)
	queries := bullmqQueries(t, server, 2000)
	backlogtest.Arm(t, source, ear, queries...)
	reads := info(t, server, "commandstats", "cmdstat_hmget")
	for _, r := range backlogtest.Read(t, source, queries...) {
		if r.Err != nil || r.Reading.Missing || r.Reading.Backlog() != 0 || !r.Armed {
			t.Fatalf("%+v", r)
		}
	}
	if reads = info(t, server, "commandstats", "cmdstat_hmget") - reads; reads != len(queries) {
		t.Errorf("%d queues were read %d times", len(queries), reads)
	}
	for _, i := range []int{0, 999, 1999} {
		server.Do("LPUSH", "bull:"+queries[i].Queue+":wait", "1")
		ear.Await(t, queries[i])
	}
}

// bullmqQueries returns queries of n queues that exist and are empty.
func bullmqQueries(t testing.TB, server *redistest.Server, n int) []backlog.Query {
	t.Helper()
	queries := make([]backlog.Query, n)
	for i := range queries {
		queries[i] = layouttest.Query("bullmq", fmt.Sprintf("tenant-%d", i))
		server.Do("HSET", "bull:"+queries[i].Queue+":meta", "opts.maxLenEvents", 10000)
	}
	return queries
}

// BenchmarkReadBullMQ reads idle queues of BullMQ in one pipeline.
func BenchmarkReadBullMQ(b *testing.B) {
	for _, c := range []struct {
		name    string
		n       int
		pattern bool
	}{{"queues=1", 1, false}, {"queues=2000", 2000, false}, {"pattern=2000", 2000, true}} {
		b.Run(c.name, func(b *testing.B) {
			server := redistest.Start(b)
			source := layouttest.OpenServer(b, server, nil)
			queries := bullmqQueries(b, server, c.n)
			if c.pattern {
				queries = []backlog.Query{layouttest.Query("bullmq", "tenant-*")}
			}
			backlogtest.Arm(b, source, backlogtest.Listen(b, source), queries...)
			b.ReportAllocs()
			for b.Loop() {
				for _, r := range source.Read(b.Context(), queries) {
					if r.Err != nil {
						b.Fatal(r.Err)
					}
				}
			}
		})
	}
}

// TestFrameworkUnknown: what makes no sense is an error, and never a number.
func TestFrameworkUnknown(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	for name, c := range map[string]struct {
		query    backlog.Query
		commands [][]any
	}{
		"bullmq concurrency": {
			query:    layouttest.Query("bullmq", "limit"),
			commands: [][]any{{"HSET", "bull:limit:meta", "concurrency", "many"}},
		},
		"bullmq timestamp": {
			query:    layouttest.Query("bullmq", "time", "age", "payload"),
			commands: [][]any{{"LPUSH", "bull:time:wait", "1"}, {"HSET", "bull:time:1", "timestamp", "today"}},
		},
		"beequeue job": {
			query:    layouttest.Query("beequeue", "job", "age", "payload"),
			commands: [][]any{{"LPUSH", "bq:job:waiting", "1"}, {"HSET", "bq:job:jobs", "1", "no JSON"}},
		},
		"asynq time": {
			query:    layouttest.Query("asynq", "time", "age", "payload"),
			commands: [][]any{{"LPUSH", "asynq:{time}:pending", "1"}, {"HSET", "asynq:{time}:t:1", "pending_since", "today"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source := layouttest.OpenServer(t, server, nil)
			for _, command := range c.commands {
				server.Do(command...)
			}
			if r := backlogtest.Read(t, source, c.query)[0]; !errors.Is(r.Err, backlog.ErrPartial) {
				t.Errorf("%+v, want ErrPartial", r)
			}
		})
	}
}

// TestFrameworkDenied: without the rights of job frameworks there is no reading.
func TestFrameworkDenied(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	source := layouttest.OpenServer(t, server, layouttest.User(redistest.Version{Name: "redis-7"}, server, "%R~*", redis.ACLRules))
	server.Do("LPUSH", "asynq:{q}:pending", "1")
	server.Do("LPUSH", "bq:q:waiting", "1")
	for _, q := range []backlog.Query{
		layouttest.Query("bullmq", "q"), layouttest.Query("beequeue", "q", "age", "payload"), layouttest.Query("asynq", "q", "age", "payload"),
	} {
		if r := backlogtest.Read(t, source, q)[0]; !errors.Is(r.Err, backlog.ErrDenied) {
			t.Errorf("%s: %+v, want ErrDenied", q.Layout, r)
		}
	}
	// These ask for counts alone.
	for _, layout := range []string{"beequeue", "asynq"} {
		if r := backlogtest.MustRead(t, source, layouttest.Query(layout, "q")); r.Ready != 1 {
			t.Errorf("%s: %+v, want 1 ready", layout, r)
		}
	}
}
