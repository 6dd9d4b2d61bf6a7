package redis_test

import (
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// TestPatternIsBounded: one trigger reads at most 10,000 queues that match its patterns,
// says so, and does not call the sum exact.
func TestPatternIsBounded(t *testing.T) {
	t.Parallel()
	const most, more = 10_000, 500
	server := redistest.Start(t)
	server.Do("EVAL", "for i = 1, ARGV[1] do redis.call('LPUSH', 'tenant:' .. i, 'x') end", 0, most+more)
	server.Do("EVAL", "for i = 1, ARGV[1] do redis.call('SADD', 'queues', 'tenant-' .. i) redis.call('LPUSH', 'queue:tenant-' .. i, '{}') end", 0, most+more)
	source := layouttest.OpenServer(t, server, nil)
	for _, q := range []backlog.Query{layouttest.Query("list", "tenant:*"), layouttest.Query("sidekiq", "tenant-*")} {
		var r backlog.Reading
		redistest.Eventually(t, q.Layout+": the pattern is read", func() bool {
			result := source.Read(t.Context(), []backlog.Query{q}, nil)[0]
			r = result.Reading
			return result.Err == nil && len(r.Parts) > 0
		})
		if len(r.Parts) > most || len(r.Parts) < most*9/10 {
			t.Errorf("%s: %d queues are read, want about %d and no more", q.Layout, len(r.Parts), most)
		}
		if r.Quality == backlog.Exact || r.Warning == "" {
			t.Errorf("%s: quality %s and warning %q of %d queues, want it said that there are more", q.Layout, r.Quality, r.Warning, len(r.Parts))
		}
	}
}
