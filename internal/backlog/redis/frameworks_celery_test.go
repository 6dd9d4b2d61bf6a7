package redis_test

import (
	"slices"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// startCelery starts Celery with a global_keyprefix and further transport options in JSON.
func startCelery(t testing.TB, prefix, options string) *python {
	t.Helper()
	return startPython(t, "celery", "5", "%R~"+prefix+"*", prefix, options)
}

// celeryFigures are what Celery itself counts: kombu's size of the queue, and what its
// workers say they hold with the given routing key.
func celeryFigures(p *python, queue, key string, held int64) func() figures {
	return func() figures {
		var size int64
		p.do(&size, "size", queue)
		var own map[string]int64
		p.do(&own, "held")
		if own[key] != held {
			return figures{Ready: -1}
		}
		return figures{Ready: size, InFlight: backlog.Exactly(held)}
	}
}

// TestCeleryCounts: tasks of every priority, those for later, queues that Celery does
// not know.
func TestCeleryCounts(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		prefix, options string
		params          []string
	}{
		"as it is":    {options: "{}"},
		"with prefix": {prefix: "{shop}:", options: "{}"},
		"with steps":  {options: `{"priority_steps": [0, 2, 4, 8], "sep": ":"}`, params: []string{"prioritySteps", "0, 2, 4, 8", "separator", ":"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := startCelery(t, row.prefix, row.options)
			query := func(queue, prefix string) backlog.Query {
				return layoutQuery("celery", queue, append(slices.Clone(row.params), "globalKeyPrefix", prefix)...)
			}
			q := query("emails", row.prefix)
			own := celeryFigures(p, "emails", "emails", 0)
			p.unacquainted(t, q, `"emails"`, "no other")
			for _, options := range []map[string]any{
				{}, {"priority": 0}, {"priority": 2}, {"priority": 3}, {"priority": 5}, {"priority": 7}, {"priority": 9}, {"countdown": 3600},
			} {
				options["queue"] = "emails"
				p.do(nil, "add", "hold", []any{}, options)
			}
			if r := p.agrees(t, "all priorities", q, own); r.Ready != 8 || r.Missing {
				t.Errorf("8 tasks of all priorities read as %+v", r)
			}
			p.do(nil, "add", "hold", []any{}, map[string]any{})
			p.agrees(t, "another queue", query("celery", row.prefix), celeryFigures(p, "celery", "celery", 0))
			p.unacquainted(t, query("email", row.prefix), `"email"`, "celery")
			p.unacquainted(t, query("email", row.prefix+"other:"), `"email"`)
			p.prove(columnWaiting, columnPrioritised)
		})
	}
}

// TestCeleryInFlight: what workers hold counts for its own queue, also when it waits in
// the worker for its time, and after the worker was killed.
func TestCeleryInFlight(t *testing.T) {
	t.Parallel()
	p := startCelery(t, "shop:", "{}")
	query := func(queue string, more ...string) backlog.Query {
		return layoutQuery("celery", queue, append(more, "globalKeyPrefix", "shop:")...)
	}
	for range 7 {
		p.do(nil, "add", "hold", []any{}, map[string]any{"queue": "emails"})
	}
	p.do(nil, "add", "hold", []any{}, map[string]any{"queue": "later", "countdown": 3600})
	p.do(nil, "add", "again", []any{3600}, map[string]any{"queue": "retried"})
	emails, later, retried := p.work(t, "emails"), p.work(t, "later"), p.work(t, "retried")
	// One runs, and four for each thread are taken ahead of time.
	if r := p.agrees(t, "a worker holds some", query("emails"), celeryFigures(p, "emails", "emails", 4)); r.Ready != 3 {
		t.Errorf("7 tasks of which a worker holds 4 read as %+v", r)
	}
	p.agrees(t, "a worker holds one for later", query("later"), celeryFigures(p, "later", "later", 1))
	p.agrees(t, "a worker holds one to try again later", query("retried"), celeryFigures(p, "retried", "retried", 1))
	if r := backlogtest.MustRead(t, p.source, query("later", "unacked", "all")); r.InFlight != backlog.Exactly(6) {
		t.Errorf("what workers hold of all queues reads as %+v", r)
	}
	if r := backlogtest.MustRead(t, p.source, query("emails", "unacked", "none")); r.InFlight.Known || r.Ready != 3 {
		t.Errorf("without what workers hold it reads as %+v", r)
	}
	if unacked, index := p.server.Do("HLEN", "shop:unacked"), p.server.Do("ZCARD", "shop:unacked_index"); unacked != index {
		t.Errorf("%v messages are unacknowledged, and %v in the index", unacked, index)
	}
	emails.kill()
	later.kill()
	retried.kill()
	for queue, want := range map[string]figures{
		"emails":  {Ready: 3, InFlight: backlog.Exactly(4)},
		"later":   {InFlight: backlog.Exactly(1)},
		"retried": {InFlight: backlog.Exactly(1)},
	} {
		p.agrees(t, "the worker of "+queue+" is killed", query(queue), func() figures { return want })
	}

	// Without the right to look at messages all of them count.
	more := user(redistest.Version{Name: "redis-7"}, p.server, "%R~shop:*", redis.ACLRules, redis.ACLFrameworkRules)
	r := backlogtest.MustRead(t, openServer(t, p.server, more), query("later"))
	if r.InFlight != backlog.Exactly(6) || r.Quality != backlog.UpperBound || r.Warning == "" {
		t.Errorf("without the right to look at messages it reads as %+v", r)
	}
	p.prove(columnInFlight)
}

// TestCeleryTopicExchange: what came through an exchange counts for the queue that is
// bound to it.
func TestCeleryTopicExchange(t *testing.T) {
	t.Parallel()
	p := startCelery(t, "", "{}")
	for range 2 {
		p.do(nil, "add", "hold", []any{}, map[string]any{"exchange": true, "routing_key": "mail.eu.new"})
	}
	q := layoutQuery("celery", "mail")
	p.agrees(t, "waiting", q, celeryFigures(p, "mail", "mail.eu.new", 0))
	worker := p.work(t, "mail")
	p.agrees(t, "taken", q, celeryFigures(p, "mail", "mail.eu.new", 2))
	worker.kill()
	p.agrees(t, "the worker is killed", q, func() figures { return figures{InFlight: backlog.Exactly(2)} })
	if r := backlogtest.MustRead(t, p.source, layoutQuery("celery", "mail.eu.new")); r.Backlog() != 0 {
		t.Errorf("a routing key is taken for a queue: %+v", r)
	}
}

// TestCeleryDelayed: Celery has no set of delayed tasks. With no worker a task for later
// waits on the queue like any other, for only a worker can hold it until it is due.
func TestCeleryDelayed(t *testing.T) {
	t.Parallel()
	p := startCelery(t, "", "{}")
	q := layoutQuery("celery", "emails")
	wakes(t, p.source, q, func() { p.do(nil, "add", "hold", []any{}, map[string]any{"queue": "emails", "countdown": 3}) })
	added := time.Now()
	for time.Since(added) < 4*time.Second {
		if r := backlogtest.MustRead(t, p.source, q); r.Ready != 1 || !r.NextDue.IsZero() {
			t.Fatalf("a task for later, %s after it was added, reads as %+v", time.Since(added), r)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// TestCeleryWakes: an idle queue wakes with a task of any priority.
func TestCeleryWakes(t *testing.T) {
	t.Parallel()
	p := startCelery(t, "", "{}")
	wakes(t, p.source, layoutQuery("celery", "emails"), func() { p.do(nil, "add", "hold", []any{}, map[string]any{"queue": "emails"}) })
	wakes(t, p.source, layoutQuery("celery", "urgent"), func() { p.do(nil, "add", "hold", []any{}, map[string]any{"queue": "urgent", "priority": 9}) })
	p.prove(columnWakeUp)
}

func holdCelery(t testing.TB, _ string) holder {
	t.Helper()
	p := startCelery(t, "", `{"visibility_timeout": 3, "unacked_restore_interval": 1, "unacked_restore_throttle": 1}`)
	number := func(operation string, args ...any) (n int64) { p.do(&n, operation, args...); return n }
	return holder{
		driver: p.driver, server: p.server, query: layoutQuery("celery", "mail"),
		take: func() *driver {
			p.do(nil, "add", "hold", []any{}, map[string]any{"queue": "mail"})
			return p.work(t, "mail")
		},
		held:    func() bool { return number("kept", "mail") > 0 && number("size", "mail") == 0 },
		kept:    func() bool { return number("kept", "mail") > 0 },
		recover: func() { p.work(t, "mail") }, // It waits for visibility_timeout.
	}
}

// TestCeleryAllWakes: where what workers have taken from any queue counts, it wakes.
func TestCeleryAllWakes(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	source := openServer(t, server, nil)
	q := layoutQuery("celery", "mail", "unacked", "all")
	wakes(t, source, q, func() { server.Do("HSET", "unacked", "tag", `[{}, "", "other"]`) })
	if r := backlogtest.MustRead(t, source, q); r.InFlight != backlog.Exactly(1) {
		t.Errorf("one task of another queue reads as %+v", r)
	}
}

// TestKilledWorkers: a job that a worker holds is work from before the worker is killed until
// another one has finished it.
func TestKilledWorkersCelery(t *testing.T) {
	t.Parallel()
	killedWorkers(t, holdCelery, "celery")
}
