package dramatiq_test

import (
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/dramatiq"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
)

// TestDramatiqOrphansInTime: work that nothing moves counts, with a warning once it has lasted, and
// stops counting after orphanedAfter.
func TestDramatiqOrphansInTime(t *testing.T) {
	t.Parallel()
	layouttest.OrphansInTime(t, dramatiq.Layout(), map[string]layouttest.OrphansCase{
		"a message that no worker has": {

			Orphan: []string{`HSET dramatiq:mail.msgs lost {} kept {}`, "ZADD dramatiq:__heartbeats__ 1 w", "SADD dramatiq:__acks__.w.mail kept"},
			Mend:   []string{"SADD dramatiq:__acks__.w.mail lost"},
			Grace:  layout.OrphanGrace, Warning: "dramatiq:mail",
		},
		"Dramatiq 1.1, a message that no worker has": {
			Params: map[string]string{"namespace": "shop"},
			Orphan: []string{`HSET shop:mail.msgs lost {} kept {}`, "ZADD shop:mail.acks 1 kept"},
			Mend:   []string{"ZADD shop:mail.acks 1 lost"},
			Grace:  layout.OrphanGrace, Warning: "shop:mail",
		},
		"a delayed message that no worker has": {

			Orphan: []string{`HSET dramatiq:mail.DQ.msgs lost {"options":{"eta":1000}} kept {"options":{"eta":1000}}`, "RPUSH dramatiq:mail.DQ kept"},
			Mend:   []string{"RPUSH dramatiq:mail.DQ lost"},
			Grace:  layout.OrphanGrace, Warning: "dramatiq:mail",
		},
		"a message fetched by a worker that is forgotten": {

			Orphan: []string{`HSET dramatiq:mail.msgs lost {} kept {}`, "ZADD dramatiq:__heartbeats__ 1 w", "RPUSH dramatiq:mail kept", "SADD dramatiq:__acks__.gone.mail lost"},
			Mend:   []string{"ZADD dramatiq:__heartbeats__ 1 gone"},
			Grace:  layout.OrphanGrace, Warning: "dramatiq:mail",
		},
	})
}
