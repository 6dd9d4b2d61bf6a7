package rq_test

import (
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/rq"
)

// TestRQOrphansInTime: work that nothing moves counts, with a warning once it has lasted, and
// stops counting after orphanedAfter.
func TestRQOrphansInTime(t *testing.T) {
	t.Parallel()
	layouttest.OrphansInTime(t, rq.Layout(), map[string]layouttest.OrphansCase{
		"a running job that no worker gives up": {

			Orphan: []string{"ZADD rq:wip:mail NOW lost +inf kept"},
			Mend:   []string{"ZADD rq:wip:mail +inf lost"},
			Grace:  20 * time.Minute, Warning: "rq:wip:mail",
		},
		"a scheduled job without a scheduler": {

			Orphan: []string{"ZADD rq:scheduled:mail NOW lost", "RPUSH rq:queue:mail kept"},
			Mend:   []string{"SET rq:scheduler-lock:mail 1"},
			Grace:  5 * time.Minute, Warning: "rq:scheduler-lock:mail",
		},
		"a job of rq-scheduler, which does not run": {

			Orphan: []string{"ZADD rq:scheduler:scheduled_jobs NOW lost", "HSET rq:job:lost origin mail", "RPUSH rq:queue:mail kept"},
			Mend:   []string{"SET rq:scheduler_lock 1"},
			Grace:  5 * time.Minute, Warning: "rq:scheduler_lock",
		},
	})
}
