package redis_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// TestLongKeysEndNoSearch: keys so long that a page of SCAN is more than an answer may be
// keep the searches of other keys from nothing. There are more patterns than have scans of
// their own, so the server sends these keys too.
func TestLongKeysEndNoSearch(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Do("LPUSH", "tenant-1", "a", "b")
	for i := range 100 {
		server.Do("LPUSH", fmt.Sprintf("long-%d-%s", i, strings.Repeat("x", 1<<20)), "a")
	}
	source := backlogtest.Open(t, redis.Engine(), layouttest.Connection([]string{server.Addr()}, nil))
	queries := make([]backlog.Query, 0, 7)
	for i := range 6 {
		queries = append(queries, layouttest.Query("list", fmt.Sprintf("other%d-*", i)))
	}
	queries = append(queries, layouttest.Query("list", "tenant-*"))
	redistest.Eventually(t, "the pattern finds its queue", func() bool {
		r := backlogtest.ReadOnce(t, source, queries...)[6]
		return r.Err == nil && !r.Pending && r.Reading.Ready == 2
	})
}
