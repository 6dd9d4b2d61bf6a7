package dramatiq_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

type dramatiqMessage struct {
	Timestamp, ETA int64 // Unix times in milliseconds
}

// startDramatiq starts Dramatiq with options of its broker in JSON.
func startDramatiq(t testing.TB, options string) *layouttest.Python {
	t.Helper()
	return layouttest.StartPython(t, "dramatiq", "2", "%R~shop:*", "shop", options)
}

func dramatiqQuery(queue string, more ...string) backlog.Query {
	return layouttest.Query("dramatiq", queue, append(more, "namespace", "shop")...)
}

// dramatiqFigures hold what Dramatiq itself counts, which is all messages of a queue,
// and what a worker says it holds, against the number of delayed messages.
func dramatiqFigures(p *layouttest.Python, queue string, worker *layouttest.Driver, delayed, due int64) func() layouttest.Figures {
	return func() layouttest.Figures {
		var all int64
		p.Do(&all, "size", queue)
		held := map[string]int64{}
		if worker != nil {
			worker.Do(&held, "held")
		}
		return layouttest.Figures{Ready: all - delayed - held[queue], Due: due, InFlight: backlog.Exactly(held[queue])}
	}
}

// TestDramatiqCounts: messages on the queue, whatever their priority, their age, and
// delayed ones, few and many.
func TestDramatiqCounts(t *testing.T) {
	t.Parallel()
	p := startDramatiq(t, "{}")
	q := dramatiqQuery("emails", "age", "payload")
	p.CheckUnknown(t, q)
	var later, first dramatiqMessage
	p.Do(&later, "add", "emails", "nothing", map[string]any{"delay": 3_600_000})
	p.Do(nil, "add", "emails", "nothing", map[string]any{"delay": 7_200_000})
	r := p.Agrees(t, "two delayed", q, dramatiqFigures(p, "emails", nil, 2, 0))
	if !r.NextDue.Equal(time.UnixMilli(later.ETA)) || r.Missing {
		t.Errorf("messages, the first due at %v, read as %+v", time.UnixMilli(later.ETA), r)
	}
	p.Do(&first, "add", "emails", "nothing", map[string]any{})
	p.Do(nil, "add", "emails", "nothing", map[string]any{"broker_priority": 9})
	r = p.Agrees(t, "two on the queue", q, dramatiqFigures(p, "emails", nil, 2, 0))
	if want := (backlog.Age{Since: time.UnixMilli(first.Timestamp), Kind: backlog.AgeExact}); r.Oldest != want {
		t.Errorf("the oldest waits since %+v, want %+v", r.Oldest, want)
	}
	if r = backlogtest.MustRead(t, p.Source, dramatiqQuery("emails")); r.Oldest.Kind != backlog.AgeUnknown {
		t.Errorf("the age is known without the payload: %+v", r)
	}

	// Without the right to look at messages all delayed ones count.
	more := layouttest.User(redistest.Version{Name: "redis-7"}, p.Server, "%R~shop:*", redis.ACLRules, redis.ACLFrameworkRules)
	r = backlogtest.MustRead(t, layouttest.OpenServer(t, p.Server, more), q)
	if r.Due != 2 || r.Quality != backlog.UpperBound || r.Warning == "" {
		t.Errorf("without the right to look at messages it reads as %+v", r)
	}

	p.Do(nil, "addMany", "many", "nothing", map[string]any{"delay": 3_600_000}, 2100)
	more = layouttest.User(redistest.Version{Name: "redis-7"}, p.Server, "%R~shop:*", redis.ACLRules, redis.ACLFrameworkRules, redis.ACLMessageRules)
	r = backlogtest.MustRead(t, layouttest.OpenServer(t, p.Server, more), dramatiqQuery("many"))
	if r.Due != 1 || r.Quality != backlog.LowerBound || time.Until(r.NextDue) < 50*time.Minute {
		t.Errorf("2100 messages for later read as %+v", r)
	}

	p.Server.Do("HSET", "shop:pickled.DQ.msgs", "id", "\x80\x04")
	r = backlogtest.MustRead(t, layouttest.OpenServer(t, p.Server, more), dramatiqQuery("pickled"))
	if r.Due != 1 || r.Quality != backlog.UpperBound || r.Warning == "" {
		t.Errorf("a message that is not in JSON reads as %+v", r)
	}
	p.Prove(layouttest.Waiting, layouttest.Prioritised, layouttest.Age)
}

// TestDramatiqInFlight: what a worker has fetched is in flight, also after it was killed,
// and a message that failed is tried again later.
func TestDramatiqInFlight(t *testing.T) {
	t.Parallel()
	p := startDramatiq(t, "{}")
	q := dramatiqQuery("emails")
	for range 7 {
		p.Do(nil, "add", "emails", "hold", map[string]any{})
	}
	worker := p.Process(t)
	worker.Do(nil, "start", "emails")
	own := dramatiqFigures(p, "emails", worker, 0, 0)
	held := p.Agrees(t, "a worker holds some", q, func() layouttest.Figures {
		f := own()
		if f.InFlight.N == 0 {
			return layouttest.Figures{Ready: -1}
		}
		return f
	})
	if held.Backlog() != 7 {
		t.Errorf("7 messages, some of them held, read as %+v", held)
	}
	last := own()
	if fetched := dramatiqFetched(p, "emails"); fetched != held.InFlight.N {
		t.Errorf("workers have noted %d messages as fetched, and %d are held", fetched, held.InFlight.N)
	}
	worker.Kill()
	p.Agrees(t, "the worker is killed", q, func() layouttest.Figures { return last })

	p.Do(nil, "add", "failing", "fail", map[string]any{})
	worker = p.Process(t)
	worker.Do(nil, "start", "failing")
	failing := dramatiqQuery("failing")
	redistest.Eventually(t, "the message is to be tried again", func() bool {
		r := backlogtest.MustRead(t, p.Source, failing)
		return r.Backlog() == 0 && time.Until(r.NextDue) > 10*time.Minute
	})
	worker.Kill()
	p.Agrees(t, "the worker that waits to try again is killed", failing, dramatiqFigures(p, "failing", nil, 1, 0))
	p.Prove(layouttest.InFlight)
}

// dramatiqFetched is how many messages of a queue are noted as fetched, by the processes
// that Dramatiq knows. By what is missing there the scaler tells what nothing does.
func dramatiqFetched(p *layouttest.Python, queue string) (fetched int64) {
	p.T.Helper()
	workers, _ := p.Server.Do("ZRANGE", "shop:__heartbeats__", 0, -1).([]any)
	for _, worker := range workers {
		n, _ := p.Server.Do("SCARD", fmt.Sprintf("shop:__acks__.%s.%s", worker, queue)).(int64)
		fetched += n
	}
	return fetched
}

// TestDramatiqDelayed: a delayed message falls due while there is no worker.
func TestDramatiqDelayed(t *testing.T) {
	t.Parallel()
	p := startDramatiq(t, "{}")
	var sent dramatiqMessage
	p.Do(&sent, "add", "emails", "nothing", map[string]any{"delay": 2000})
	p.FallsDue(t, dramatiqQuery("emails"), time.UnixMilli(sent.ETA))
	r := p.Agrees(t, "due", dramatiqQuery("emails"), dramatiqFigures(p, "emails", nil, 1, 1))
	if want := (backlog.Age{Since: time.UnixMilli(sent.ETA), Kind: backlog.AgeExact}); r.Oldest != want {
		t.Errorf("the oldest waits since %+v, want %+v", r.Oldest, want)
	}
	p.Prove(layouttest.Due)
}

// TestDramatiqWakes: an idle queue wakes with Dramatiq's own enqueueing.
func TestDramatiqWakes(t *testing.T) {
	t.Parallel()
	p := startDramatiq(t, "{}")
	layouttest.CheckWakes(t, p.Source, dramatiqQuery("emails"), func() { p.Do(nil, "add", "emails", "nothing", map[string]any{}) })
	layouttest.CheckWakes(t, p.Source, dramatiqQuery("later"), func() { p.Do(nil, "add", "later", "nothing", map[string]any{"delay": 3_600_000}) })
	p.Prove(layouttest.WakeUp)
}

func delayDramatiq(t testing.TB, _ string) layouttest.Delayer {
	t.Helper()
	p := startDramatiq(t, "{}")
	query := func(queue string) backlog.Query { return dramatiqQuery(queue) }
	return layouttest.Delayer{Driver: p.Driver, Server: p.Server, Query: query, Delay: func(queue string) time.Time {
		var sent dramatiqMessage
		p.Do(&sent, "add", queue, "nothing", map[string]any{"delay": 1500})
		return time.UnixMilli(sent.ETA)
	}}
}

func holdDramatiq(t testing.TB, _ string) layouttest.Holder {
	t.Helper()
	p := startDramatiq(t, `{"heartbeat_timeout": 1000, "maintenance_chance": 1000000}`)
	start := func(finish bool) *layouttest.Driver {
		worker := p.Process(t)
		worker.Do(nil, "start", "mail", finish)
		return worker
	}
	var worker *layouttest.Driver
	return layouttest.Holder{
		Driver: p.Driver, Server: p.Server, Query: dramatiqQuery("mail"),
		Take: func() *layouttest.Driver {
			p.Do(nil, "add", "mail", "hold", map[string]any{})
			worker = start(false)
			return worker
		},
		Held: func() bool {
			var own map[string]int64
			worker.Do(&own, "held")
			return own["mail"] == 1
		},
		Kept: func() bool {
			var size int64
			p.Do(&size, "size", "mail")
			return size > 0
		},
		Recover: func() { start(true) },
	}
}

// TestDelayedJobsWakeAtZero: KEDA is notified of a delayed job when it is due, with no worker.
func TestDelayedJobsWakeAtZero(t *testing.T) {
	layouttest.DelayedJobsWakeAtZero(t, delayDramatiq, "dramatiq")
}

// TestKilledWorkers: a job that a worker holds is work from before the worker is killed until
// another one has finished it.
func TestKilledWorkers(t *testing.T) {
	t.Parallel()
	layouttest.KilledWorkers(t, holdDramatiq, "dramatiq")
}

// TestDramatiqElsewhere: an application with another namespace than the trigger has.
func TestDramatiqElsewhere(t *testing.T) {
	t.Parallel()
	p := startDramatiq(t, "{}")
	p.Do(nil, "add", "emails", "nothing", map[string]any{})
	layouttest.CheckHint(t, p.Server, layouttest.Query("dramatiq", "emails"), `namespace "shop"`)
}
