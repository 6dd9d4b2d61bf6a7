package bullmq_test

import (
	"strings"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
)

// TestWorkers: a worker is busy while it has a job of the queue, if all of them write their names into their jobs.
func TestWorkers(t *testing.T) {
	t.Parallel()
	layouttest.CheckWorkers(t, layouttest.Query("bullmq", "q"), map[string]layouttest.WorkersCase{
		"none":     {Want: map[string]bool{}},
		"named":    {Keys: []string{"RPUSH bull:q:active 1 2 3", "HSET bull:q:1 pb web-1", "HSET bull:q:2 pb web-2", "HSET bull:q:3 pb web-1"}, Want: map[string]bool{"web-1": true, "web-2": true}},
		"no name":  {Keys: []string{"RPUSH bull:q:active 1 2", "HSET bull:q:1 pb web-1", "HSET bull:q:2 name job"}, Err: backlog.ErrPartial},
		"no job":   {Keys: []string{"RPUSH bull:q:active 1"}, Err: backlog.ErrPartial},
		"too many": {Keys: []string{"RPUSH bull:q:active" + strings.Repeat(" 1", layout.MaxWorkers)}, Err: backlog.ErrExhausted},
		"several queues": {
			Query: layouttest.Query("bullmq", "q,r"), Keys: []string{"RPUSH bull:q:active 1", "HSET bull:q:1 pb web-1", "RPUSH bull:r:active 1", "HSET bull:r:1 pb web-2"},
			Want: map[string]bool{"web-1": true, "web-2": true},
		},
		"several queues without jobs": {Query: layouttest.Query("bullmq", "q,r"), Want: map[string]bool{}},
	})
}

// TestBullMQBusyWorkers: workers write their names into the jobs that they take since BullMQ 5. Before, nothing is known while one
// works.
func TestBullMQBusyWorkers(t *testing.T) {
	t.Parallel()
	layouttest.EachVersion(t, []string{"bullmq-4", "bullmq-5", "bullmq-6"}, startBullMQ, func(t *testing.T, b *library) {
		t.Helper()
		source := layouttest.OpenForWorkers(t, b.server, "%R~{shop}:*")
		host, q := layouttest.Hostname(t), layouttest.Query("bullmq", "mails", "prefix", b.prefix)
		layouttest.AwaitWorkers(t, "no worker", source, q, map[string]bool{})
		b.start(t).Do(nil, "work", "mails", b.prefix, 1, map[string]any{"name": host})
		layouttest.AwaitWorkers(t, "an idle worker", source, q, map[string]bool{})
		b.Do(nil, "add", "mails", b.prefix, "hang", map[string]any{})
		if b.module != "bullmq-4" {
			layouttest.AwaitWorkers(t, "a job", source, q, map[string]bool{host: true})
			return
		}
		layouttest.AwaitNoWorkers(t, source, q, backlog.ErrPartial)
	})
}
