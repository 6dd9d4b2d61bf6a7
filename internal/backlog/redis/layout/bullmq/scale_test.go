package bullmq_test

import (
	"fmt"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// TestTwoThousandBullMQQueues: they are read in one go, and all of them wake.
func TestTwoThousandBullMQQueues(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	source := layouttest.OpenServer(t, server, nil)
	ear := backlogtest.Listen(t, source)
	queries := bullmqQueries(t, server, 2000)
	backlogtest.Arm(t, source, ear, queries...)
	reads := server.Info("commandstats", "cmdstat_hmget")
	for _, r := range backlogtest.Read(t, source, queries...) {
		if r.Err != nil || r.Reading.Missing || r.Reading.Backlog() != 0 || !r.Armed {
			t.Fatalf("%+v", r)
		}
	}
	if reads = server.Info("commandstats", "cmdstat_hmget") - reads; reads != len(queries) {
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
				for _, r := range source.Read(b.Context(), queries, nil) {
					if r.Err != nil {
						b.Fatal(r.Err)
					}
				}
			}
		})
	}
}
