package celery_test

import (
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/celery"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
)

// TestCeleryOrphansInTime: work that nothing moves counts, with a warning once it has lasted, and
// stops counting after orphanedAfter.
func TestCeleryOrphansInTime(t *testing.T) {
	t.Parallel()
	layouttest.OrphansInTime(t, celery.Layout(), map[string]layouttest.OrphansCase{
		"a message that is not in the index": {
			Orphan: []string{`HSET unacked lost [{},"","mail"] kept [{},"","mail"] other [{},"","other"]`, "ZADD unacked_index 1 kept 1 other"},
			Mend:   []string{"ZADD unacked_index 1 lost"},
			Grace:  layout.OrphanGrace, Warning: "unacked_index",
		},
		"all queues together": {
			Params: map[string]string{"unacked": "all"},
			Orphan: []string{`HSET unacked lost [{},"","mail"] kept [{},"","mail"]`, "ZADD unacked_index 1 kept"},
			Mend:   []string{"ZADD unacked_index 1 lost"},
			Grace:  layout.OrphanGrace, Warning: "unacked_index",
		},
		"a message that cannot be parsed": {
			Params: map[string]string{"globalKeyPrefix": "shop:", "unackedKey": "u", "unackedIndexKey": "i"},
			Orphan: []string{"HSET shop:u lost secret", "LPUSH shop:mail {}"},
			Mend:   []string{"ZADD shop:i 1 lost"},
			Grace:  layout.OrphanGrace, Warning: "shop:i",
		},
	})
}
