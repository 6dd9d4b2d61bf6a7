package redis_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// TestWorkersOnCluster: workers are read from all servers of a cluster of each version, in one batch with queues, with the rights
// that are documented. Next to them the queue itself is armed as ever.
func TestWorkersOnCluster(t *testing.T) {
	t.Parallel()
	for _, v := range redistest.Versions(t) {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			c := redistest.StartCluster(t, 3, 0, redistest.WithVersion(v))
			rules := []string{redis.ACLRules, redis.ACLFrameworkRules, redis.ACLPatternRules, redis.ACLWorkerRules, redis.ACLClusterRules}
			var more map[string]any
			for _, m := range c.Masters {
				more = layouttest.User(v, m, "%R~*", rules...)
			}
			client, want := c.NewClient(t), make(map[string]bool)
			do := func(command string) {
				t.Helper()
				if err := client.Do(t.Context(), layouttest.Words(command)...).Err(); err != nil {
					t.Fatalf("%s: %v", command, err)
				}
			}
			for i := range 30 {
				do(fmt.Sprintf("SADD processes web-%d:7:aa", i))
				do(fmt.Sprintf("HSET web-%d:7:aa busy %d beat 1700000000", i, i%2))
				want[fmt.Sprintf("web-%d", i)] = i%2 > 0
			}
			do("XGROUP CREATE orders workers 0 MKSTREAM")
			do("XADD orders * a 1")
			do("XREADGROUP GROUP workers web-1 COUNT 1 STREAMS orders >")
			source := openCluster(t, c, more)
			queue := layouttest.Query("sidekiq", "mails")
			processes, consumers := queue, layouttest.Query("stream", "orders", "consumerGroup", "workers")
			processes.Workers, consumers.Workers = true, true
			ear := backlogtest.Listen(t, source)
			backlogtest.Arm(t, source, ear, queue, list("jobs"))
			results := backlogtest.Read(t, source, processes, queue, consumers, list("jobs"))
			for i, r := range results {
				if r.Err != nil {
					t.Fatal(r.Err)
				}
				if workers := i%2 == 0; r.Armed == workers || (r.Reading.Workers != nil) != workers {
					t.Errorf("result %d is %+v", i, r)
				}
			}
			if diff := cmp.Diff(want, results[0].Reading.Workers); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(map[string]bool{"web-1": true}, results[2].Reading.Workers); diff != "" {
				t.Error(diff)
			}
			do("LPUSH queue:mails {}")
			ear.Await(t, queue)
			for _, m := range c.Masters {
				if refused, _ := m.Do("ACL", "LOG").([]any); len(refused) > 0 {
					t.Errorf("refused were %v", refused)
				}
			}
		})
	}
}

// TestBusyWorkersAreBounded: of too many workers, consumers or jobs it is not known which are busy.
func TestBusyWorkersAreBounded(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	const fill = "for i = 1, ARGV[1] do redis.call('SADD', 'processes', 'web-' .. i .. ':1:a') redis.call('RPUSH', 'bull:mails:active', i) " +
		"redis.call('XGROUP', 'CREATECONSUMER', 'orders', 'workers', 'web-' .. i) end"
	server.Do("XGROUP", "CREATE", "orders", "workers", "0", "MKSTREAM")
	server.Do("EVAL", fill, 0, layout.MaxWorkers)
	source := layouttest.OpenServer(t, server, nil)
	for _, q := range []backlog.Query{
		layouttest.Query("sidekiq", "mails"), layouttest.Query("bullmq", "mails"), layouttest.Query("stream", "orders", "consumerGroup", "workers"),
	} {
		q.Workers = true
		if r := backlogtest.Read(t, source, q)[0]; !errors.Is(r.Err, backlog.ErrExhausted) {
			t.Errorf("%s: %+v, want ErrExhausted", q, r)
		}
	}
}

// BenchmarkReadWorkers measures a read of the busy ones among many processes.
func BenchmarkReadWorkers(b *testing.B) {
	const processes = 1000
	server := redistest.Start(b)
	for i := range processes {
		server.Do("SADD", "processes", fmt.Sprintf("web-%d:7:aa", i))
		server.Do("HSET", fmt.Sprintf("web-%d:7:aa", i), "busy", i%2, "beat", "1700000000")
	}
	source := layouttest.OpenServer(b, server, nil)
	q := layouttest.Query("sidekiq", "mails")
	q.Workers = true
	b.ReportAllocs()
	var results []backlog.Result
	for b.Loop() {
		results = source.Read(b.Context(), []backlog.Query{q}, results[:0])
		if r := results[0]; r.Err != nil || len(r.Reading.Workers) != processes {
			b.Fatal(r)
		}
	}
}
