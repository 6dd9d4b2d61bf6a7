package asynq_test

import (
	"strings"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// TestAsynqEditions: keys of old versions of asynq.
func TestAsynqEditions(t *testing.T) {
	t.Parallel()
	q := layouttest.Query("asynq", "mail")
	known := []any{"SADD", "asynq:queues", "mail"}
	for name, e := range map[string]layouttest.Edition{
		"0.12 to 0.17": {
			Query: q,
			Keys:  [][]any{known, {"LPUSH", "asynq:{mail}", "a", "b"}, {"LPUSH", "asynq:{mail}:active", "c"}, {"ZADD", "asynq:{mail}:deadlines", 1, "c"}},
			Want:  layouttest.Figures{Ready: 2, InFlight: backlog.Exactly(1)},
		},
		"0.11": {
			Query: q, Warning: "asynq before 0.12",
			Keys: [][]any{{"SADD", "asynq:queues", "asynq:queues:mail"}, {"LPUSH", "asynq:queues:mail", "a", "b"}},
			Want: layouttest.Figures{Ready: 1, InFlight: backlog.Exactly(0), Quality: backlog.LowerBound},
		},
		"0.11, by a pattern": {
			Query: layouttest.Query("asynq", "m*"), Warning: "asynq before 0.12",
			Keys: [][]any{{"SADD", "asynq:queues", "asynq:queues:mail"}, {"LPUSH", "asynq:queues:mail", "a", "b"}},
			Want: layouttest.Figures{Ready: 1, InFlight: backlog.Exactly(0), Quality: backlog.LowerBound},
		},
		"now, after 0.11": {
			Query: q,
			Keys:  [][]any{{"SADD", "asynq:queues", "asynq:queues:mail", "mail"}},
			Want:  layouttest.Figures{InFlight: backlog.Exactly(0)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e.Read(t)
		})
	}
}

// TestAsynqOldListWakes: a task that asynq before 0.18 adds wakes the queue.
func TestAsynqOldListWakes(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Do("SADD", "asynq:queues", "mail")
	layouttest.CheckWakes(t, layouttest.OpenServer(t, server, nil), layouttest.Query("asynq", "mail"), func() { server.Do("LPUSH", "asynq:{mail}", "1") })
}

// TestAsynqWithTheRightsOfLaterVersions: rights that do not cover the list of asynq
// before 0.18 are enough to read later ones; that nothing is there is not certain then.
func TestAsynqWithTheRightsOfLaterVersions(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	const keys = "%R~asynq:{mail}:* %R~asynq:queues"
	source := layouttest.OpenServer(t, server, layouttest.User(redistest.Version{}, server, keys, redis.ACLRules, redis.ACLFrameworkRules))
	server.Do("SADD", "asynq:queues", "mail")
	q := layouttest.Query("asynq", "mail")
	for range 2 {
		r := backlogtest.MustRead(t, source, q)
		if r.Backlog() != 0 || r.Missing || r.Quality != backlog.LowerBound || !strings.Contains(r.Warning, "asynq:{mail}*") {
			t.Errorf("a queue without tasks: %+v", r)
		}
	}
	layouttest.CheckWakes(t, source, q, func() { server.Do("LPUSH", "asynq:{mail}:pending", "1") })
	if r := backlogtest.MustRead(t, source, q); r.Ready != 1 || r.Quality != backlog.Exact || r.Warning != "" {
		t.Errorf("a queue with a task: %+v", r)
	}
}

// TestAsynqGroupOnItsWay: a group that is emptied between two round trips went to be
// aggregated after the sets for that were counted, so there is work.
func TestAsynqGroupOnItsWay(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	source := layouttest.OpenServer(t, server, nil)
	server.Do("SADD", "asynq:{mail}:groups", "emptied", "full")
	server.Do("ZADD", "asynq:{mail}:g:full", 1, "a", 2, "b")
	r := backlogtest.MustRead(t, source, layouttest.Query("asynq", "mail"))
	if r.Due != 3 || r.Quality != backlog.LowerBound {
		t.Errorf("a group of two and one on its way read as %+v", r)
	}
}
