package redis_test

import (
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// A delayer is a framework that can run a job later, at work on a server of its own.
type delayer struct {
	*driver
	server *redistest.Server
	query  func(queue string) backlog.Query
	// delay adds a job to a queue and returns when it is due, as the library keeps it.
	delay func(queue string) time.Time
}

// delayers start all of them, by installation. Frameworks that are not among them have
// no place for delayed jobs that anybody could look at while there is no worker:
// Celery's are held by a worker, Taskiq's by its scheduler.
func delayers() map[string]func(t testing.TB, name string) delayer {
	return byInstallation(map[string]func(testing.TB, string) delayer{
		"sidekiq": delaySidekiq, "resque": delayResque, "laravel": delayLaravel, "bullmq": delayBullMQ, "beequeue": delayBeequeue,
		"asynq": delayAsynq, "rq": delayRQ, "dramatiq": delayDramatiq, "arq": delayArq,
	})
}

func delayAsynq(t testing.TB, _ string) delayer {
	t.Helper()
	a := startAsynq(t)
	return delayer{a.driver, a.server, a.query, func(queue string) (due time.Time) {
		a.add(queue, "done", asynqOptions{In: "2500ms"})
		a.do(&due, "firstDue", queue)
		return due
	}}
}

func delayBeequeue(t testing.TB, _ string) delayer {
	t.Helper()
	b := startBeequeue(t)
	return delayer{b.driver, b.server, b.query, func(queue string) time.Time {
		due := time.Now().Add(1500 * time.Millisecond).UnixMilli()
		b.add(queue, "done", map[string]any{"delayUntil": due})
		return time.UnixMilli(due)
	}}
}

func delayBullMQ(t testing.TB, name string) delayer {
	t.Helper()
	b := startBullMQ(t, name)
	return delayer{b.driver, b.server, b.query, func(queue string) time.Time {
		return b.add(queue, "done", map[string]any{"delay": 1500}).added().Add(1500 * time.Millisecond)
	}}
}

func delayResque(t testing.TB, _ string) delayer {
	t.Helper()
	r := startResque(t, "resque")
	return delayer{r.driver, r.server, plainQuery("resque"), func(queue string) time.Time {
		r.do(nil, "in", queue, 2500, "sleep", 0)
		return time.UnixMilli(r.counts(queue).Next)
	}}
}

func delaySidekiq(t testing.TB, name string) delayer {
	t.Helper()
	s := startSidekiq(t, name)
	return delayer{s.driver, s.server, plainQuery("sidekiq"), func(queue string) time.Time {
		s.do(nil, "in", queue, 1.5, "SleepJob", 0)
		return unixSeconds(s.counts(queue).Next)
	}}
}

func delayLaravel(t testing.TB, name string) delayer {
	t.Helper()
	l := startLaravel(t, name)
	query := func(queue string) backlog.Query { return layoutQuery("laravel", queue, "prefix", laravelPrefix) }
	return delayer{l.driver, l.server, query, func(queue string) time.Time {
		var due int64
		l.do(nil, "later", queue, 2, "SleepJob")
		l.do(&due, "due", queue)
		return time.Unix(due, 0)
	}}
}

func delayRQ(t testing.TB, name string) delayer {
	t.Helper()
	p := startRQ(t, name)
	return delayer{p.driver, p.server, plainQuery("rq"), func(queue string) time.Time {
		var due float64
		p.do(&due, "addIn", queue, 3)
		return unixSeconds(due)
	}}
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

func delayArq(t testing.TB, _ string) delayer {
	t.Helper()
	p := startArq(t)
	return delayer{p.driver, p.server, plainQuery("arq"), func(queue string) time.Time {
		var job arqJob
		p.do(&job, "add", queue, "nothing", map[string]any{"delay": 1.5})
		return time.UnixMilli(job.Score)
	}}
}

// plainQuery returns queries of a layout without parameters.
func plainQuery(layout string) func(queue string) backlog.Query {
	return func(queue string) backlog.Query { return layoutQuery(layout, queue) }
}

// unixSeconds returns a moment to the microsecond, which is all that a float64 holds.
func unixSeconds(seconds float64) time.Time { return time.UnixMicro(int64(seconds * 1e6)) }
