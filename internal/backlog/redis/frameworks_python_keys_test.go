package redis_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// TestDramatiqKeys: what Dramatiq leaves under another namespace, and what it reads as
// with the least rights.
func TestDramatiqKeys(t *testing.T) {
	t.Parallel()
	nothing := figures{InFlight: backlog.Exactly(0)}
	readKeys(t, layoutQuery("dramatiq", "mail"), map[string]keysCase{
		"a namespace that is in use": {keys: []string{"ZADD dramatiq:__heartbeats__ 1 w"}, missing: true, want: nothing},
		"another namespace": {
			keys: []string{"HSET shop:mail.msgs a {}", "RPUSH shop:mail a"}, missing: true, want: nothing,
			warning: []string{`namespace "dramatiq"`}, hint: []string{`namespace "shop"`},
		},
		"another namespace, where all messages are for later": {
			keys: []string{"HSET shop:mail.DQ.msgs a {}"}, missing: true, want: nothing,
			warning: []string{`namespace "dramatiq"`}, hint: []string{`a queue of this name exists with the namespace "shop"`},
		},
		"another namespace, where nothing waits": {
			keys: []string{"ZADD shop:__heartbeats__ 1 w"}, missing: true, want: nothing,
			warning: []string{`namespace "dramatiq"`}, hint: []string{`the framework is at work with the namespace "shop"`},
		},
		"messages of the dead-letter queue": {keys: []string{"HSET dramatiq:mail.XQ.msgs a {}", "ZADD dramatiq:mail.XQ 1 a", "ZADD dramatiq:__heartbeats__ 1 w"}, missing: true, want: nothing},
		"a pattern, next to a dead-letter queue": {
			keys:  []string{"HSET dramatiq:mail.msgs a {}", "RPUSH dramatiq:mail a", "HSET dramatiq:mail.XQ.msgs a {}", "ZADD dramatiq:mail.XQ 1 a"},
			query: layoutQuery("dramatiq", "*"), want: figures{Ready: 1, InFlight: backlog.Exactly(0)},
		},
		"with the least rights": {
			keys: []string{"HSET dramatiq:mail.msgs a {}"}, rules: "%R~dramatiq:mail* " + redis.ACLRules, want: figures{InFlight: backlog.Exactly(1)},
		},
		"nothing with the least rights": {rules: "%R~dramatiq:mail* " + redis.ACLRules, missing: true, want: nothing},
	})
}

// TestArqKeys: what arq keeps beside its queues is no queue.
func TestArqKeys(t *testing.T) {
	t.Parallel()
	readKeys(t, layoutQuery("arq", "arq:*"), map[string]keysCase{
		"jobs to be aborted": {keys: []string{"ZADD arq:queue 1700000000000 a", "ZADD arq:abort 1700000000000 b"}, want: figures{Ready: 1, InFlight: backlog.Exactly(0)}},
	})
}

// TestPythonBounds: what is kept for all queues together is looked at up to a limit, and
// beyond it a reading is no zero.
func TestPythonBounds(t *testing.T) {
	t.Parallel()
	many := func(command string, n int) string {
		words := []string{command}
		for i := range n {
			words = append(words, "RECENT", strconv.Itoa(i))
		}
		return strings.Join(words, " ")
	}
	limits := []string{"SADD rq:queues rq:queue:mail"}
	for i := range 30 {
		limits = append(limits, fmt.Sprintf("SADD rq:rl-keys %d", i), many(fmt.Sprintf("ZADD rq:rl:%d:rate_limited", i), 5))
	}
	processes := many("ZADD dramatiq:__heartbeats__", 300)
	atLeastOne := figures{Due: 1, InFlight: backlog.Exactly(0), Quality: backlog.LowerBound}
	readKeys(t, layoutQuery("rq", "mail"), map[string]keysCase{
		"due jobs of rq-scheduler": {keys: []string{many("ZADD rq:scheduler:scheduled_jobs", 150)}, want: atLeastOne, warning: []string{"rq-scheduler"}},
		"rate limits of RQ":        {keys: limits, want: atLeastOne, warning: []string{"rate limits"}},
		"processes of Dramatiq": {
			keys: []string{processes, "HSET dramatiq:mail.msgs a {}"}, query: layoutQuery("dramatiq", "mail"), want: figures{InFlight: backlog.Exactly(1)},
		},
	})
}

// TestPythonElsewhere: an application with another prefix than the trigger has, as its own
// library leaves it.
func TestPythonElsewhere(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		start func(t testing.TB) *python
		add   []any
		query backlog.Query
		hint  string
	}{
		"celery": {
			start: func(t testing.TB) *python { t.Helper(); return startCelery(t, "shop:", "{}") },
			add:   []any{"add", "hold", []any{}, map[string]any{"queue": "emails"}},
			query: layoutQuery("celery", "emails"), hint: `globalKeyPrefix "shop:"`,
		},
		"rq": {
			start: func(t testing.TB) *python { t.Helper(); return startRQ(t, "rq") },
			add:   []any{"add", "emails", "nothing", map[string]any{}},
			query: layoutQuery("rq", "emails", "prefix", "shop"), hint: `prefix "rq"`,
		},
		"dramatiq": {
			start: func(t testing.TB) *python { t.Helper(); return startDramatiq(t, "{}") },
			add:   []any{"add", "emails", "nothing", map[string]any{}},
			query: layoutQuery("dramatiq", "emails"), hint: `namespace "shop"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := row.start(t)
			operation, _ := row.add[0].(string)
			p.do(nil, operation, row.add[1:]...)
			source := openServer(t, p.server, nil)
			redistest.Eventually(t, "there is a hint", func() bool {
				r := backlogtest.MustRead(t, source, row.query)
				return r.Missing && strings.Contains(r.Hint, row.hint) && !strings.Contains(r.Warning, row.hint)
			})
		})
	}
}
