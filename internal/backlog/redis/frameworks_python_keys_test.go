package redis_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

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
