package redis_test

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// TestManyQueuesKeepNoOtherWaiting: a query of many queues is read apart from others, and in pieces
// between which the same connection reads others.
func TestManyQueuesKeepNoOtherWaiting(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Do("EVAL", "for i = 1, 9000 do redis.call('LPUSH', string.format('many:%04d', i), 'x') end", 0)
	server.Do("LPUSH", "alone", "x")
	proxy := redistest.StartProxy(t, server.Addr(), nil)
	source, ok := backlogtest.Open(t, redis.Engine(), layouttest.Connection([]string{proxy.Addr()}, nil)).(backlog.Sharded)
	if !ok {
		t.Fatal("the source has no shards")
	}
	many, few, alone := ofNamespace("shop", "many:*"), ofNamespace("shop", "few:*"), list("alone")
	redistest.Eventually(t, "all queues are found", func() bool {
		r := source.Read(t.Context(), []backlog.Query{many, few, alone}, nil)
		return r[0].Err == nil && r[0].Reading.Ready == 9000 && r[1].Err == nil && r[2].Err == nil
	})
	shard := source.Shard(many)
	if !strings.HasSuffix(shard, "shop") || source.Shard(few) != source.Shard(alone) || source.Shard(alone) == shard {
		t.Fatalf("the shards are %q, %q and %q, want only many queues apart", shard, source.Shard(few), source.Shard(alone))
	}
	var asked, before atomic.Bool
	var other sync.WaitGroup
	proxy.Before("LLEN alone", func() { asked.Store(true) })
	proxy.Before("LLEN many:1000", func() {
		other.Go(func() {
			if r := source.ReadShard(t.Context(), "", []backlog.Query{alone}, nil)[0]; r.Err != nil || r.Reading.Ready != 1 {
				t.Errorf("the other queue reads as %+v", r)
			}
		})
		// It most likely waits for the connection by then. If not, there are 15 pieces more.
		time.Sleep(50 * time.Millisecond)
	})
	proxy.Before("LLEN many:9000", func() { before.Store(asked.Load()) })
	r := source.ReadShard(t.Context(), shard, []backlog.Query{many}, nil)[0]
	other.Wait()
	if r.Err != nil || r.Reading.Ready != 9000 || len(r.Reading.Parts) != 9000 || !r.Armed {
		t.Errorf("many queues in pieces read as %d ready in %d parts, armed: %t, %v", r.Reading.Ready, len(r.Reading.Parts), r.Armed, r.Err)
	}
	if !before.Load() {
		t.Error("the other queue is read after all of the many")
	}
}
