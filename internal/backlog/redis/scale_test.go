package redis_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// TestTenThousandQueues: they are read in one go over one connection; a second one
// listens; all of them wake.
func TestTenThousandQueues(t *testing.T) {
	t.Parallel()
	layouttest.EachServer(t, func(t *testing.T, _ redistest.Version, server *redistest.Server) {
		t.Helper()
		const n = 10000
		source := layouttest.OpenServer(t, server, nil)
		ear := backlogtest.Listen(t, source)
		queries := make([]backlog.Query, n)
		for i := range queries {
			queries[i] = list(fmt.Sprintf("jobs:%d", i))
		}
		backlogtest.Arm(t, source, ear, queries...)
		p := newProbe(t, source, ear, server)
		p.settle(t)
		before := server.Info("commandstats", "cmdstat_llen")
		connections := server.Info("clients", "connected_clients")
		for _, r := range backlogtest.Read(t, source, queries...) {
			if r.Err != nil || !r.Reading.Missing || !r.Armed {
				t.Fatalf("%+v", r)
			}
		}
		if calls := server.Info("commandstats", "cmdstat_llen") - before; calls != n {
			t.Errorf("%d queues took %d commands", n, calls)
		}
		// One of them is the test's own.
		if connections > 3 {
			t.Errorf("%d connections, want at most 2 and the test's", connections)
		}
		pipe := server.Client().Pipeline()
		for _, q := range queries {
			pipe.LPush(t.Context(), q.Queue, "a")
		}
		if _, err := pipe.Exec(t.Context()); err != nil {
			t.Fatal(err)
		}
		waiting := make(map[backlog.Query]bool, n)
		for _, q := range queries {
			waiting[q] = true
		}
		timeout := time.After(patience)
		for len(waiting) > 0 {
			select {
			case w := <-wakesOf(t, source):
				if w.Everything {
					t.Fatal("everything was woken")
				}
				for _, q := range w.Queries {
					delete(waiting, q)
				}
			case <-timeout:
				t.Fatalf("%d queues were not woken", len(waiting))
			}
		}
		for _, r := range backlogtest.Read(t, source, queries...) {
			if r.Err != nil || r.Reading.Ready != 1 {
				t.Fatalf("%+v", r)
			}
		}
	})
}

// TestIdleCost: between reads a source sends nothing but a question now and then
// whether the server is still there, and opens no connections.
func TestIdleCost(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	source := layouttest.OpenServer(t, server, nil)
	backlogtest.Arm(t, source, backlogtest.Listen(t, source), list("jobs"))
	commands := func() int { return server.Info("stats", "total_commands_processed") }
	began := time.Now()
	before, connections := commands(), server.Info("stats", "total_connections_received")
	time.Sleep(500 * time.Millisecond) // Nothing is to happen.
	sent := commands() - before
	// The source asks every 5 s; a machine that stalls makes the half second longer.
	if asked := 1 + int(time.Since(began)/(5*time.Second)); sent > 3+asked {
		t.Errorf("%d commands in %s of rest, 3 of them the test's own", sent, time.Since(began))
	}
	if opened := server.Info("stats", "total_connections_received") - connections; opened != 0 {
		t.Errorf("%d connections were opened in half a second of rest", opened)
	}
}

func BenchmarkRead(b *testing.B) {
	for _, n := range []int{1, 100, 10000} {
		b.Run(fmt.Sprintf("lists=%d", n), func(b *testing.B) {
			server := redistest.Start(b)
			source := layouttest.OpenServer(b, server, nil)
			queries := make([]backlog.Query, n)
			for i := range queries {
				queries[i] = list(fmt.Sprintf("jobs:%d", i))
			}
			backlogtest.Arm(b, source, backlogtest.Listen(b, source), queries...)
			b.ReportAllocs()
			var results []backlog.Result
			for b.Loop() {
				results = source.Read(b.Context(), queries, results[:0])
				for _, r := range results {
					if r.Err != nil {
						b.Fatal(r.Err)
					}
				}
			}
		})
	}
}

// BenchmarkWake measures from a write to the wake-up.
func BenchmarkWake(b *testing.B) {
	server := redistest.Start(b)
	source := layouttest.OpenServer(b, server, nil)
	wakes := wakesOf(b, source)
	q := []backlog.Query{list("jobs")}
	backlogtest.Arm(b, source, backlogtest.Listen(b, source), q...)
	writer := server.NewClient(func(*goredis.Options) {})
	measure(b, func() time.Duration {
		source.Read(b.Context(), q, nil)
		begin := time.Now()
		if err := writer.LPush(b.Context(), "jobs", "a").Err(); err != nil {
			b.Fatal(err)
		}
		<-wakes
		return time.Since(begin)
	})
}

// measure reports the median and the 99th percentile of a round.
func measure(b *testing.B, round func() time.Duration) {
	b.Helper()
	var took []time.Duration
	for b.Loop() {
		took = append(took, round())
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-us")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-us")
}
