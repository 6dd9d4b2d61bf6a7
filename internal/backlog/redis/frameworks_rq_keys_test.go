package redis_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// A keysCase is a queue as it lies in Redis, and what it reads as.
type keysCase struct {
	// keys are commands, of which each word is an argument; PAST and FUTURE are moments.
	keys []string
	// query is what is read; that of the table if it is zero.
	query backlog.Query
	// rules are the rights of the scaler's user; all if there are none.
	rules string
	want  figures
	// orphaned and missing are those of the reading.
	orphaned int64
	missing  bool
	// warning and hint are words that the reading has there; without any there is none.
	warning, hint []string
}

// readKeys reads the queues of a table, each on a server of its own.
func readKeys(t *testing.T, q backlog.Query, table map[string]keysCase) {
	t.Helper()
	now := time.Now()
	moments := strings.NewReplacer(
		"PAST", unix(now.Add(-time.Hour)), "RECENT", unix(now.Add(-time.Minute)), "FUTURE", unix(now.Add(time.Hour)),
		`\x06\x16`, "\x06\x16",
	)
	for name, row := range table {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			for _, key := range row.keys {
				var args []any
				for word := range strings.FieldsSeq(key) {
					args = append(args, moments.Replace(word))
				}
				server.Do(args...)
			}
			var more map[string]any
			if row.rules != "" {
				more = user(redistest.Version{Name: "redis-7"}, server, row.rules)
			}
			query := q
			if row.query.Layout != "" {
				query = row.query
			}
			r := row.await(t, openServer(t, server, more), query)
			if diff := cmp.Diff(row.want, figuresOf(r)); diff != "" || r.Orphaned != row.orphaned || r.Missing != row.missing {
				t.Errorf("it reads as %+v:\n%s", r, diff)
			}
			contains(t, "warning", r.Warning, row.warning)
			contains(t, "hint", r.Hint, row.hint)
		})
	}
}

// unix returns a moment as frameworks write it into a score.
func unix(at time.Time) string { return strconv.FormatInt(at.Unix(), 10) }

// await reads a queue; if a hint is wanted, until it is there: keys are searched in the
// background.
func (row keysCase) await(t *testing.T, source backlog.Source, q backlog.Query) (r backlog.Reading) {
	t.Helper()
	r = backlogtest.MustRead(t, source, q)
	if len(row.hint) > 0 {
		redistest.Eventually(t, "there is a hint", func() bool {
			r = backlogtest.MustRead(t, source, q)
			return strings.Contains(r.Hint, row.hint[0])
		})
	}
	return r
}

func contains(t *testing.T, what, got string, words []string) {
	t.Helper()
	if len(words) == 0 && got != "" {
		t.Errorf("the %s is %q, want none", what, got)
	}
	for _, word := range words {
		if !strings.Contains(got, word) {
			t.Errorf("the %s %q does not contain %q", what, got, word)
		}
	}
}

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
