package celery_test

import (
	"slices"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// startCelery starts Celery with a global_keyprefix and further transport options in JSON.
func startCelery(t testing.TB, prefix, options string) *layouttest.Python {
	t.Helper()
	return layouttest.StartPython(t, "celery", "5", "%R~"+prefix+"*", prefix, options)
}

// celeryFigures are what Celery itself counts: kombu's size of the queue, and what its
// workers say they hold with the given routing key.
func celeryFigures(p *layouttest.Python, queue, key string, held int64) func() layouttest.Figures {
	return func() layouttest.Figures {
		var size int64
		p.Do(&size, "size", queue)
		var own map[string]int64
		p.Do(&own, "held")
		if own[key] != held {
			return layouttest.Figures{Ready: -1}
		}
		return layouttest.Figures{Ready: size, InFlight: backlog.Exactly(held)}
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
				return layouttest.Query("celery", queue, append(slices.Clone(row.params), "globalKeyPrefix", prefix)...)
			}
			q := query("emails", row.prefix)
			own := celeryFigures(p, "emails", "emails", 0)
			p.CheckUnknown(t, q, `"emails"`, "no other")
			for _, options := range []map[string]any{
				{}, {"priority": 0}, {"priority": 2}, {"priority": 3}, {"priority": 5}, {"priority": 7}, {"priority": 9}, {"countdown": 3600},
			} {
				options["queue"] = "emails"
				p.Do(nil, "add", "hold", []any{}, options)
			}
			if r := p.Agrees(t, "all priorities", q, own); r.Ready != 8 || r.Missing {
				t.Errorf("8 tasks of all priorities read as %+v", r)
			}
			p.Do(nil, "add", "hold", []any{}, map[string]any{})
			p.Agrees(t, "another queue", query("celery", row.prefix), celeryFigures(p, "celery", "celery", 0))
			p.CheckUnknown(t, query("email", row.prefix), `"email"`, "celery")
			p.CheckUnknown(t, query("email", row.prefix+"other:"), `"email"`)
			p.Prove(layouttest.Waiting, layouttest.Prioritised)
		})
	}
}

// TestCeleryInFlight: what workers hold counts for its own queue, also when it waits in
// the worker for its time, and after the worker was killed.
func TestCeleryInFlight(t *testing.T) {
	t.Parallel()
	p := startCelery(t, "shop:", "{}")
	query := func(queue string, more ...string) backlog.Query {
		return layouttest.Query("celery", queue, append(more, "globalKeyPrefix", "shop:")...)
	}
	for range 7 {
		p.Do(nil, "add", "hold", []any{}, map[string]any{"queue": "emails"})
	}
	p.Do(nil, "add", "hold", []any{}, map[string]any{"queue": "later", "countdown": 3600})
	p.Do(nil, "add", "again", []any{3600}, map[string]any{"queue": "retried"})
	emails, later, retried := p.Work(t, "emails"), p.Work(t, "later"), p.Work(t, "retried")
	// One runs, and four for each thread are taken ahead of time.
	if r := p.Agrees(t, "a worker holds some", query("emails"), celeryFigures(p, "emails", "emails", 4)); r.Ready != 3 {
		t.Errorf("7 tasks, 4 of them held by a worker, read as %+v", r)
	}
	p.Agrees(t, "a worker holds one for later", query("later"), celeryFigures(p, "later", "later", 1))
	p.Agrees(t, "a worker holds one to try again later", query("retried"), celeryFigures(p, "retried", "retried", 1))
	if r := backlogtest.MustRead(t, p.Source, query("later", "unacked", "all")); r.InFlight != backlog.Exactly(6) {
		t.Errorf("what workers hold of all queues reads as %+v", r)
	}
	if r := backlogtest.MustRead(t, p.Source, query("emails", "unacked", "none")); r.InFlight.Known || r.Ready != 3 {
		t.Errorf("without what workers hold it reads as %+v", r)
	}
	if unacked, index := p.Server.Do("HLEN", "shop:unacked"), p.Server.Do("ZCARD", "shop:unacked_index"); unacked != index {
		t.Errorf("%v messages are unacknowledged, and %v in the index", unacked, index)
	}
	emails.Kill()
	later.Kill()
	retried.Kill()
	for queue, want := range map[string]layouttest.Figures{
		"emails":  {Ready: 3, InFlight: backlog.Exactly(4)},
		"later":   {InFlight: backlog.Exactly(1)},
		"retried": {InFlight: backlog.Exactly(1)},
	} {
		p.Agrees(t, "the worker of "+queue+" is killed", query(queue), func() layouttest.Figures { return want })
	}

	// Without the right to look at messages all of them count.
	more := layouttest.User(redistest.Version{Name: "redis-7"}, p.Server, "%R~shop:*", redis.ACLRules, redis.ACLFrameworkRules)
	r := backlogtest.MustRead(t, layouttest.OpenServer(t, p.Server, more), query("later"))
	if r.InFlight != backlog.Exactly(6) || r.Quality != backlog.UpperBound || r.Warning == "" {
		t.Errorf("without the right to look at messages it reads as %+v", r)
	}
	p.Prove(layouttest.InFlight)
}

// TestCeleryTopicExchange: what came through an exchange counts for the queue that is
// bound to it.
func TestCeleryTopicExchange(t *testing.T) {
	t.Parallel()
	p := startCelery(t, "", "{}")
	for range 2 {
		p.Do(nil, "add", "hold", []any{}, map[string]any{"exchange": true, "routing_key": "mail.eu.new"})
	}
	q := layouttest.Query("celery", "mail")
	p.Agrees(t, "waiting", q, celeryFigures(p, "mail", "mail.eu.new", 0))
	worker := p.Work(t, "mail")
	p.Agrees(t, "taken", q, celeryFigures(p, "mail", "mail.eu.new", 2))
	worker.Kill()
	p.Agrees(t, "the worker is killed", q, func() layouttest.Figures { return layouttest.Figures{InFlight: backlog.Exactly(2)} })
	if r := backlogtest.MustRead(t, p.Source, layouttest.Query("celery", "mail.eu.new")); r.Backlog() != 0 {
		t.Errorf("a routing key is taken for a queue: %+v", r)
	}
}

// TestCeleryDelayed: Celery has no set of delayed tasks. With no worker a task for later
// waits on the queue like any other, for only a worker can hold it until it is due.
func TestCeleryDelayed(t *testing.T) {
	t.Parallel()
	p := startCelery(t, "", "{}")
	q := layouttest.Query("celery", "emails")
	layouttest.CheckWakes(t, p.Source, q, func() { p.Do(nil, "add", "hold", []any{}, map[string]any{"queue": "emails", "countdown": 3}) })
	added := time.Now()
	for time.Since(added) < 4*time.Second {
		if r := backlogtest.MustRead(t, p.Source, q); r.Ready != 1 || !r.NextDue.IsZero() {
			t.Fatalf("a task for later, %s after it was added, reads as %+v", time.Since(added), r)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// TestCeleryWakes: an idle queue wakes with a task of any priority.
func TestCeleryWakes(t *testing.T) {
	t.Parallel()
	p := startCelery(t, "", "{}")
	layouttest.CheckWakes(t, p.Source, layouttest.Query("celery", "emails"), func() { p.Do(nil, "add", "hold", []any{}, map[string]any{"queue": "emails"}) })
	layouttest.CheckWakes(t, p.Source, layouttest.Query("celery", "urgent"), func() { p.Do(nil, "add", "hold", []any{}, map[string]any{"queue": "urgent", "priority": 9}) })
	p.Prove(layouttest.WakeUp)
}

func holdCelery(t testing.TB, _ string) layouttest.Holder {
	t.Helper()
	p := startCelery(t, "", `{"visibility_timeout": 3, "unacked_restore_interval": 1, "unacked_restore_throttle": 1}`)
	number := func(operation string, args ...any) (n int64) { p.Do(&n, operation, args...); return n }
	return layouttest.Holder{
		Driver: p.Driver, Server: p.Server, Query: layouttest.Query("celery", "mail"),
		Take: func() *layouttest.Driver {
			p.Do(nil, "add", "hold", []any{}, map[string]any{"queue": "mail"})
			return p.Work(t, "mail")
		},
		Held:    func() bool { return number("kept", "mail") > 0 && number("size", "mail") == 0 },
		Kept:    func() bool { return number("kept", "mail") > 0 },
		Recover: func() { p.Work(t, "mail") }, // It waits for visibility_timeout.
	}
}

// TestCeleryAllWakes: where what workers have taken from any queue counts, it wakes.
func TestCeleryAllWakes(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	source := layouttest.OpenServer(t, server, nil)
	q := layouttest.Query("celery", "mail", "unacked", "all")
	layouttest.CheckWakes(t, source, q, func() { server.Do("HSET", "unacked", "tag", `[{}, "", "other"]`) })
	if r := backlogtest.MustRead(t, source, q); r.InFlight != backlog.Exactly(1) {
		t.Errorf("one task of another queue reads as %+v", r)
	}
}

// TestKilledWorkers: a job that a worker holds is work from before the worker is killed until
// another one has finished it.
func TestKilledWorkers(t *testing.T) {
	t.Parallel()
	layouttest.KilledWorkers(t, holdCelery, "celery")
}

// TestCeleryElsewhere: an application with another prefix than the trigger has.
func TestCeleryElsewhere(t *testing.T) {
	t.Parallel()
	p := startCelery(t, "shop:", "{}")
	p.Do(nil, "add", "hold", []any{}, map[string]any{"queue": "emails"})
	layouttest.CheckHint(t, p.Server, layouttest.Query("celery", "emails"), `globalKeyPrefix "shop:"`)
}
