package redis_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

type dramatiqMessage struct {
	Timestamp, ETA int64 // Unix times in milliseconds
}

// startDramatiq starts Dramatiq with options of its broker in JSON.
func startDramatiq(t testing.TB, options string) *python {
	t.Helper()
	return startPython(t, "dramatiq", "2", "%R~shop:*", "shop", options)
}

func dramatiqQuery(queue string, more ...string) backlog.Query {
	return layoutQuery("dramatiq", queue, append(more, "namespace", "shop")...)
}

// dramatiqFigures hold what Dramatiq itself counts, which is all messages of a queue,
// and what a worker says it holds, against the number of delayed messages.
func dramatiqFigures(p *python, queue string, worker *driver, delayed, due int64) func() figures {
	return func() figures {
		var all int64
		p.do(&all, "size", queue)
		held := map[string]int64{}
		if worker != nil {
			worker.do(&held, "held")
		}
		return figures{Ready: all - delayed - held[queue], Due: due, InFlight: backlog.Exactly(held[queue])}
	}
}

// TestDramatiqCounts: messages on the queue, whatever their priority, their age, and
// delayed ones, few and many.
func TestDramatiqCounts(t *testing.T) {
	t.Parallel()
	p := startDramatiq(t, "{}")
	q := dramatiqQuery("emails", "age", "payload")
	p.unacquainted(t, q)
	var later, first dramatiqMessage
	p.do(&later, "add", "emails", "nothing", map[string]any{"delay": 3_600_000})
	p.do(nil, "add", "emails", "nothing", map[string]any{"delay": 7_200_000})
	r := p.agrees(t, "two delayed", q, dramatiqFigures(p, "emails", nil, 2, 0))
	if !r.NextDue.Equal(time.UnixMilli(later.ETA)) || r.Missing {
		t.Errorf("messages of which the first is due at %v read as %+v", time.UnixMilli(later.ETA), r)
	}
	p.do(&first, "add", "emails", "nothing", map[string]any{})
	p.do(nil, "add", "emails", "nothing", map[string]any{"broker_priority": 9})
	r = p.agrees(t, "two on the queue", q, dramatiqFigures(p, "emails", nil, 2, 0))
	if want := (backlog.Age{Since: time.UnixMilli(first.Timestamp), Kind: backlog.AgeExact}); r.Oldest != want {
		t.Errorf("the oldest waits since %+v, want %+v", r.Oldest, want)
	}
	if r = backlogtest.MustRead(t, p.source, dramatiqQuery("emails")); r.Oldest.Kind != backlog.AgeUnknown {
		t.Errorf("the age is known without the payload: %+v", r)
	}

	// Without the right to look at messages all delayed ones count.
	more := user(redistest.Version{Name: "redis-7"}, p.server, "%R~shop:*", redis.ACLRules, redis.ACLFrameworkRules)
	r = backlogtest.MustRead(t, openServer(t, p.server, more), q)
	if r.Due != 2 || r.Quality != backlog.UpperBound || r.Warning == "" {
		t.Errorf("without the right to look at messages it reads as %+v", r)
	}

	p.do(nil, "addMany", "many", "nothing", map[string]any{"delay": 3_600_000}, 2100)
	more = user(redistest.Version{Name: "redis-7"}, p.server, "%R~shop:*", redis.ACLRules, redis.ACLFrameworkRules, redis.ACLMessageRules)
	r = backlogtest.MustRead(t, openServer(t, p.server, more), dramatiqQuery("many"))
	if r.Due != 1 || r.Quality != backlog.LowerBound || time.Until(r.NextDue) < 50*time.Minute {
		t.Errorf("2100 messages for later read as %+v", r)
	}

	p.server.Do("HSET", "shop:pickled.DQ.msgs", "id", "\x80\x04")
	r = backlogtest.MustRead(t, openServer(t, p.server, more), dramatiqQuery("pickled"))
	if r.Due != 1 || r.Quality != backlog.UpperBound || r.Warning == "" {
		t.Errorf("a message that is not in JSON reads as %+v", r)
	}
	p.prove(columnWaiting, columnPrioritised, columnAge)
}

// TestDramatiqInFlight: what a worker has fetched is in flight, also after it was killed,
// and a message that failed is tried again later.
func TestDramatiqInFlight(t *testing.T) {
	t.Parallel()
	p := startDramatiq(t, "{}")
	q := dramatiqQuery("emails")
	for range 7 {
		p.do(nil, "add", "emails", "hold", map[string]any{})
	}
	worker := p.process(t)
	worker.do(nil, "start", "emails")
	own := dramatiqFigures(p, "emails", worker, 0, 0)
	held := p.agrees(t, "a worker holds some", q, func() figures {
		f := own()
		if f.InFlight.N == 0 {
			return figures{Ready: -1}
		}
		return f
	})
	if held.Backlog() != 7 {
		t.Errorf("7 messages of which some are held read as %+v", held)
	}
	last := own()
	if fetched := dramatiqFetched(p, "emails"); fetched != held.InFlight.N {
		t.Errorf("workers have noted %d messages as fetched, and %d are held", fetched, held.InFlight.N)
	}
	worker.kill()
	p.agrees(t, "the worker is killed", q, func() figures { return last })

	p.do(nil, "add", "failing", "fail", map[string]any{})
	worker = p.process(t)
	worker.do(nil, "start", "failing")
	failing := dramatiqQuery("failing")
	redistest.Eventually(t, "the message is to be tried again", func() bool {
		r := backlogtest.MustRead(t, p.source, failing)
		return r.Backlog() == 0 && time.Until(r.NextDue) > 10*time.Minute
	})
	worker.kill()
	p.agrees(t, "the worker that waits to try again is killed", failing, dramatiqFigures(p, "failing", nil, 1, 0))
	p.prove(columnInFlight)
}

// dramatiqFetched is how many messages of a queue are noted as fetched, by the processes
// that Dramatiq knows. By what is missing there the scaler tells what nothing does.
func dramatiqFetched(p *python, queue string) (fetched int64) {
	p.t.Helper()
	workers, _ := p.server.Do("ZRANGE", "shop:__heartbeats__", 0, -1).([]any)
	for _, worker := range workers {
		n, _ := p.server.Do("SCARD", fmt.Sprintf("shop:__acks__.%s.%s", worker, queue)).(int64)
		fetched += n
	}
	return fetched
}

// TestDramatiqDelayed: a delayed message falls due while there is no worker.
func TestDramatiqDelayed(t *testing.T) {
	t.Parallel()
	p := startDramatiq(t, "{}")
	var sent dramatiqMessage
	p.do(&sent, "add", "emails", "nothing", map[string]any{"delay": 2000})
	p.fallsDue(t, dramatiqQuery("emails"), time.UnixMilli(sent.ETA))
	r := p.agrees(t, "due", dramatiqQuery("emails"), dramatiqFigures(p, "emails", nil, 1, 1))
	if want := (backlog.Age{Since: time.UnixMilli(sent.ETA), Kind: backlog.AgeExact}); r.Oldest != want {
		t.Errorf("the oldest waits since %+v, want %+v", r.Oldest, want)
	}
	p.prove(columnDue)
}

// TestDramatiqWakes: an idle queue wakes with Dramatiq's own enqueueing.
func TestDramatiqWakes(t *testing.T) {
	t.Parallel()
	p := startDramatiq(t, "{}")
	wakes(t, p.source, dramatiqQuery("emails"), func() { p.do(nil, "add", "emails", "nothing", map[string]any{}) })
	wakes(t, p.source, dramatiqQuery("later"), func() { p.do(nil, "add", "later", "nothing", map[string]any{"delay": 3_600_000}) })
	p.prove(columnWakeUp)
}

func delayDramatiq(t testing.TB, _ string) delayer {
	t.Helper()
	p := startDramatiq(t, "{}")
	query := func(queue string) backlog.Query { return dramatiqQuery(queue) }
	return delayer{p.driver, p.server, query, func(queue string) time.Time {
		var sent dramatiqMessage
		p.do(&sent, "add", queue, "nothing", map[string]any{"delay": 1500})
		return time.UnixMilli(sent.ETA)
	}}
}

func holdDramatiq(t testing.TB, _ string) holder {
	t.Helper()
	p := startDramatiq(t, `{"heartbeat_timeout": 1000, "maintenance_chance": 1000000}`)
	start := func(finish bool) *driver {
		worker := p.process(t)
		worker.do(nil, "start", "mail", finish)
		return worker
	}
	var worker *driver
	return holder{
		driver: p.driver, server: p.server, query: dramatiqQuery("mail"),
		take: func() *driver {
			p.do(nil, "add", "mail", "hold", map[string]any{})
			worker = start(false)
			return worker
		},
		held: func() bool {
			var own map[string]int64
			worker.do(&own, "held")
			return own["mail"] == 1
		},
		kept: func() bool {
			var size int64
			p.do(&size, "size", "mail")
			return size > 0
		},
		recover: func() { start(true) },
	}
}

// TestDelayedJobsWakeAtZero: KEDA is notified of a delayed job when it is due, with no worker.
func TestDelayedJobsWakeAtZeroDramatiq(t *testing.T) { //nolint:tparallel // it measures, so it begins before the tests that run side by side
	delayedJobsWakeAtZero(t, delayDramatiq, "dramatiq")
}

// TestKilledWorkers: a job that a worker holds is work from before the worker is killed until
// another one has finished it.
func TestKilledWorkersDramatiq(t *testing.T) {
	t.Parallel()
	killedWorkers(t, holdDramatiq, "dramatiq")
}
