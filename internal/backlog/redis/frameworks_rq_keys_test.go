package redis_test

import (
	"strings"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// TestRQKeys: work of RQ that is where other versions and packages keep it, and work
// that nothing moves.
func TestRQKeys(t *testing.T) {
	t.Parallel()
	inFlight := func(n int64) figures { return figures{InFlight: backlog.Exactly(n)} }
	due := func(n int64, quality backlog.Quality) figures {
		return figures{Due: n, InFlight: backlog.Exactly(0), Quality: quality}
	}
	allowed := redis.ACLRules + " " + redis.ACLFrameworkRules
	outside := []string{"SADD rq:queues rq:queue:mail", "ZADD rq:scheduler:scheduled_jobs RECENT a RECENT b FUTURE c", "HSET rq:job:a origin mail", "HSET rq:job:b origin other", "HSET rq:job:c origin mail"}
	limited := []string{"SADD rq:queues rq:queue:mail", "SADD rq:rl-keys api", "ZADD rq:rl:api:rate_limited PAST a PAST b", "HSET rq:job:a origin mail", "HSET rq:job:b origin other"}
	readKeys(t, layoutQuery("rq", "mail"), map[string]keysCase{
		"RQ 1, a job that runs and is not off the list yet": {
			keys: []string{"RPUSH rq:queue:mail:intermediate a b", "ZADD rq:wip:mail FUTURE a"}, want: inFlight(2),
		},
		"RQ 1, a job with a colon in its name": {
			keys: []string{"RPUSH rq:queue:mail:intermediate a:1 a", "ZADD rq:wip:mail FUTURE a:1"}, want: inFlight(2),
		},
		"RQ 2, an execution that begins": {
			keys: []string{"RPUSH rq:queue:mail:intermediate a b", "ZADD rq:wip:mail FUTURE a:x FUTURE c:y"}, want: inFlight(3),
		},
		"a running job that expired a minute ago": {keys: []string{"ZADD rq:wip:mail RECENT a"}, want: inFlight(1)},
		"a running job that nothing gives up": {
			keys: []string{"ZADD rq:wip:mail PAST a FUTURE b"}, orphaned: 1, warning: []string{"rq:wip:mail", "orphanedAfter"},
			want: figures{InFlight: backlog.Exactly(2), Quality: backlog.UpperBound},
		},
		"due without a scheduler": {
			keys: []string{"ZADD rq:scheduled:mail PAST a"}, orphaned: 1, warning: []string{"rq:scheduler-lock:mail"}, want: due(1, backlog.UpperBound),
		},
		"due without a scheduler, found by a pattern": {
			keys: []string{"SADD rq:queues rq:queue:mail rq:queue:other", "ZADD rq:scheduled:mail PAST a"}, query: layoutQuery("rq", "ma*"), orphaned: 1, warning: []string{"rq:scheduler-lock:mail"}, want: due(1, backlog.UpperBound),
		},
		"due with a scheduler": {
			keys: []string{"ZADD rq:scheduled:mail PAST a", "SET rq:scheduler-lock:mail 1"}, want: due(1, backlog.Exact),
		},
		"due where the lock may not be read": {
			keys: []string{"ZADD rq:scheduled:mail PAST a"}, rules: "%R~rq:scheduled:* %R~rq:queue:* %R~rq:ready:* %R~rq:wip:* %R~rq:suspended " + allowed, want: due(1, backlog.Exact),
		},
		"rq-scheduler": {keys: outside, rules: "%R~rq:* " + allowed, want: due(1, backlog.Exact)},
		"rq-scheduler, jobs for later and of other queues": {
			keys: []string{"SADD rq:queues rq:queue:mail", "ZADD rq:scheduler:scheduled_jobs RECENT b FUTURE c", "HSET rq:job:b origin other", "HSET rq:job:c origin mail"}, want: due(0, backlog.Exact),
		},
		"rq-scheduler, without the right to read jobs": {
			keys: outside, rules: "%R~rq:scheduled:* %R~rq:queue:* %R~rq:ready:* %R~rq:wip:* %R~rq:suspended %R~rq:scheduler* " + allowed,
			want: due(1, backlog.LowerBound), warning: []string{"rq:scheduler:scheduled_jobs"},
		},
		"rq-scheduler that does not run, without the right to read jobs": {
			keys: []string{"ZADD rq:scheduler:scheduled_jobs PAST a"}, rules: "%R~rq:scheduled:* %R~rq:queue* %R~rq:ready:* %R~rq:wip:* %R~rq:suspended %R~rq:scheduler* " + allowed,
			orphaned: 1, want: due(1, backlog.LowerBound), warning: []string{"rq:scheduler:scheduled_jobs", "rq:scheduler_lock"},
		},
		"rq-scheduler that does not run": {
			keys: []string{"ZADD rq:scheduler:scheduled_jobs PAST a", "HSET rq:job:a origin mail"}, orphaned: 1, want: due(1, backlog.UpperBound), warning: []string{"rq:scheduler_lock"},
		},
		"rq-scheduler that runs": {
			keys: []string{"ZADD rq:scheduler:scheduled_jobs PAST a", "HSET rq:job:a origin mail", "SET rq:scheduler_lock 1"}, want: due(1, backlog.Exact),
		},
		"rq-scheduler 0.9 that runs": {
			keys: []string{"ZADD rq:scheduler:scheduled_jobs PAST a", "HSET rq:job:a origin mail", "HSET rq:scheduler birth 1"}, want: due(1, backlog.Exact),
		},
		"RQ 3, a rate limit holds jobs back": {keys: limited, rules: "%R~rq:* " + allowed, want: due(1, backlog.UpperBound), warning: []string{"rate limit"}},
		"RQ 3, a rate limit of other queues": {keys: append(limited, "HSET rq:job:a origin other"), want: due(0, backlog.Exact)},
		"RQ 3, a rate limit, without the right to read jobs": {
			keys: limited, rules: "%R~rq:scheduled:* %R~rq:queue* %R~rq:ready:* %R~rq:wip:* %R~rq:suspended %R~rq:rl* " + allowed,
			want: due(1, backlog.LowerBound), warning: []string{"rate limits"},
		},
		"another prefix": {
			keys: []string{"SADD shop:queues shop:queue:mail", "RPUSH shop:queue:mail a", "RPUSH shop:queue:other a"}, missing: true,
			want: due(0, backlog.Exact), warning: []string{"RQ knows no queue"}, hint: []string{`prefix "shop"`},
		},
		"another prefix, where all jobs are for later": {
			keys: []string{"ZADD shop:scheduled:mail FUTURE a"}, missing: true,
			want: due(0, backlog.Exact), warning: []string{"RQ knows no queue"}, hint: []string{`prefix "shop"`},
		},
		"another prefix, where all jobs run": {
			keys: []string{"ZADD shop:wip:mail FUTURE a:x"}, missing: true,
			want: due(0, backlog.Exact), warning: []string{"RQ knows no queue"}, hint: []string{`prefix "shop"`},
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
			source := openServer(t, server, user(redistest.Version{}, server, keys, redis.ACLRules, redis.ACLFrameworkRules))
			server.Do("SADD", "shop:queues", "shop:queue:mail")
			q := layoutQuery("rq", "mail", "prefix", "shop")
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
