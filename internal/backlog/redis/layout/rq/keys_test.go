package rq_test

import (
	"strings"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// TestRQKeys: work of RQ that is where other versions and packages keep it, and work
// that nothing moves.
func TestRQKeys(t *testing.T) {
	t.Parallel()
	inFlight := func(n int64) layouttest.Figures { return layouttest.Figures{InFlight: backlog.Exactly(n)} }
	due := func(n int64, quality backlog.Quality) layouttest.Figures {
		return layouttest.Figures{Due: n, InFlight: backlog.Exactly(0), Quality: quality}
	}
	allowed := redis.ACLRules + " " + redis.ACLFrameworkRules
	outside := []string{"SADD rq:queues rq:queue:mail", "ZADD rq:scheduler:scheduled_jobs RECENT a RECENT b FUTURE c", "HSET rq:job:a origin mail", "HSET rq:job:b origin other", "HSET rq:job:c origin mail"}
	limited := []string{"SADD rq:queues rq:queue:mail", "SADD rq:rl-keys api", "ZADD rq:rl:api:rate_limited PAST a PAST b", "HSET rq:job:a origin mail", "HSET rq:job:b origin other"}
	layouttest.ReadKeys(t, layouttest.Query("rq", "mail"), map[string]layouttest.KeysCase{
		"RQ 1, a job that runs and is not off the list yet": {
			Keys: []string{"RPUSH rq:queue:mail:intermediate a b", "ZADD rq:wip:mail FUTURE a"}, Want: inFlight(2),
		},
		"RQ 1, a job with a colon in its name": {
			Keys: []string{"RPUSH rq:queue:mail:intermediate a:1 a", "ZADD rq:wip:mail FUTURE a:1"}, Want: inFlight(2),
		},
		"RQ 2, an execution that begins": {
			Keys: []string{"RPUSH rq:queue:mail:intermediate a b", "ZADD rq:wip:mail FUTURE a:x FUTURE c:y"}, Want: inFlight(3),
		},
		"a running job that expired a minute ago": {Keys: []string{"ZADD rq:wip:mail RECENT a"}, Want: inFlight(1)},
		"a running job that nothing gives up": {
			Keys: []string{"ZADD rq:wip:mail PAST a FUTURE b"}, Orphaned: 1, Warning: []string{"rq:wip:mail", "orphanedAfter"},
			Want: layouttest.Figures{InFlight: backlog.Exactly(2), Quality: backlog.UpperBound},
		},
		"due without a scheduler": {
			Keys: []string{"ZADD rq:scheduled:mail PAST a"}, Orphaned: 1, Warning: []string{"rq:scheduler-lock:mail"}, Want: due(1, backlog.UpperBound),
		},
		"due without a scheduler, found by a pattern": {
			Keys: []string{"SADD rq:queues rq:queue:mail rq:queue:other", "ZADD rq:scheduled:mail PAST a"}, Query: layouttest.Query("rq", "ma*"), Orphaned: 1, Warning: []string{"rq:scheduler-lock:mail"}, Want: due(1, backlog.UpperBound),
		},
		"due with a scheduler": {
			Keys: []string{"ZADD rq:scheduled:mail PAST a", "SET rq:scheduler-lock:mail 1"}, Want: due(1, backlog.Exact),
		},
		"due where the lock may not be read": {
			Keys: []string{"ZADD rq:scheduled:mail PAST a"}, Rules: "%R~rq:scheduled:* %R~rq:queue:* %R~rq:ready:* %R~rq:wip:* %R~rq:suspended " + allowed, Want: due(1, backlog.Exact),
		},
		"rq-scheduler": {Keys: outside, Rules: "%R~rq:* " + allowed, Want: due(1, backlog.Exact)},
		"rq-scheduler, jobs for later and of other queues": {
			Keys: []string{"SADD rq:queues rq:queue:mail", "ZADD rq:scheduler:scheduled_jobs RECENT b FUTURE c", "HSET rq:job:b origin other", "HSET rq:job:c origin mail"}, Want: due(0, backlog.Exact),
		},
		"rq-scheduler, without the right to read jobs": {
			Keys: outside, Rules: "%R~rq:scheduled:* %R~rq:queue:* %R~rq:ready:* %R~rq:wip:* %R~rq:suspended %R~rq:scheduler* " + allowed,
			Want: due(1, backlog.LowerBound), Warning: []string{"rq:scheduler:scheduled_jobs"},
		},
		"rq-scheduler that does not run, without the right to read jobs": {
			Keys: []string{"ZADD rq:scheduler:scheduled_jobs PAST a"}, Rules: "%R~rq:scheduled:* %R~rq:queue* %R~rq:ready:* %R~rq:wip:* %R~rq:suspended %R~rq:scheduler* " + allowed,
			Orphaned: 1, Want: due(1, backlog.LowerBound), Warning: []string{"rq:scheduler:scheduled_jobs", "rq:scheduler_lock"},
		},
		"rq-scheduler that does not run": {
			Keys: []string{"ZADD rq:scheduler:scheduled_jobs PAST a", "HSET rq:job:a origin mail"}, Orphaned: 1, Want: due(1, backlog.UpperBound), Warning: []string{"rq:scheduler_lock"},
		},
		"rq-scheduler that runs": {
			Keys: []string{"ZADD rq:scheduler:scheduled_jobs PAST a", "HSET rq:job:a origin mail", "SET rq:scheduler_lock 1"}, Want: due(1, backlog.Exact),
		},
		"rq-scheduler 0.9 that runs": {
			Keys: []string{"ZADD rq:scheduler:scheduled_jobs PAST a", "HSET rq:job:a origin mail", "HSET rq:scheduler birth 1"}, Want: due(1, backlog.Exact),
		},
		"RQ 3, a rate limit holds jobs back": {Keys: limited, Rules: "%R~rq:* " + allowed, Want: due(1, backlog.UpperBound), Warning: []string{"rate limit"}},
		"RQ 3, a rate limit of other queues": {Keys: append(limited, "HSET rq:job:a origin other"), Want: due(0, backlog.Exact)},
		"RQ 3, a rate limit, without the right to read jobs": {
			Keys: limited, Rules: "%R~rq:scheduled:* %R~rq:queue* %R~rq:ready:* %R~rq:wip:* %R~rq:suspended %R~rq:rl* " + allowed,
			Want: due(1, backlog.LowerBound), Warning: []string{"rate limits"},
		},
		"another prefix": {
			Keys: []string{"SADD shop:queues shop:queue:mail", "RPUSH shop:queue:mail a", "RPUSH shop:queue:other a"}, Missing: true,
			Want: due(0, backlog.Exact), Warning: []string{"RQ knows no queue"}, Hint: []string{`prefix "shop"`},
		},
		"another prefix, where all jobs are for later": {
			Keys: []string{"ZADD shop:scheduled:mail FUTURE a"}, Missing: true,
			Want: due(0, backlog.Exact), Warning: []string{"RQ knows no queue"}, Hint: []string{`prefix "shop"`},
		},
		"another prefix, where all jobs run": {
			Keys: []string{"ZADD shop:wip:mail FUTURE a:x"}, Missing: true,
			Want: due(0, backlog.Exact), Warning: []string{"RQ knows no queue"}, Hint: []string{`prefix "shop"`},
		},
	})
}

// TestRQWithTheRightsOfItsPrefix: where the keys of rq-scheduler may not be read, an empty
// queue is no exact zero.
func TestRQWithTheRightsOfItsPrefix(t *testing.T) {
	t.Parallel()
	for keys, quality := range map[string]backlog.Quality{"%R~shop:*": backlog.LowerBound, "%R~shop:* %R~rq:scheduler*": backlog.Exact} {
		t.Run(keys, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			source := layouttest.OpenServer(t, server, layouttest.User(redistest.Version{}, server, keys, redis.ACLRules, redis.ACLFrameworkRules))
			server.Do("SADD", "shop:queues", "shop:queue:mail")
			q := layouttest.Query("rq", "mail", "prefix", "shop")
			r := backlogtest.MustRead(t, source, q)
			if r.Backlog() != 0 || r.Quality != quality || strings.Contains(r.Warning, "rq:scheduler") != (quality != backlog.Exact) {
				t.Errorf("an empty queue: %+v", r)
			}
			server.Do("RPUSH", "shop:queue:mail", "1")
			if r := backlogtest.MustRead(t, source, q); r.Ready != 1 || r.Quality != backlog.Exact || r.Warning != "" {
				t.Errorf("a queue with a job: %+v", r)
			}
		})
	}
}
