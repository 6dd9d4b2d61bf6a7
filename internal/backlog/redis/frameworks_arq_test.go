package redis_test

import (
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
)

type arqJob struct {
	Enqueued float64 // Unix time in seconds
	Score    int64   // Unix time in milliseconds
}

const arqQueue = "arq:emails"

// arqCounts are the jobs of a queue by the status that arq itself tells.
type arqCounts struct {
	Deferred, Queued, Complete int64
	InProgress                 int64 `json:"in_progress"`
}

func startArq(t testing.TB) *python {
	t.Helper()
	return startPython(t, "arq", "0", "%R~arq:*")
}

func arqOwn(p *python) arqCounts {
	p.t.Helper()
	var own arqCounts
	p.do(&own, "counts", arqQueue)
	return own
}

// arqFigures are the figures of arq's own statuses, once running jobs run.
func arqFigures(p *python, running int64) func() figures {
	return func() figures {
		own := arqOwn(p)
		if own.InProgress != running {
			return figures{Ready: -1}
		}
		return figures{Ready: own.Queued, InFlight: backlog.Exactly(own.InProgress)}
	}
}

// TestArqCounts: jobs that may run, jobs for later, retries, and the age of the first.
func TestArqCounts(t *testing.T) {
	t.Parallel()
	p := startArq(t)
	q := layoutQuery("arq", arqQueue)
	p.unacquainted(t, q)
	var later, first arqJob
	p.do(&later, "add", arqQueue, "nothing", map[string]any{"delay": 3600})
	p.do(nil, "add", arqQueue, "nothing", map[string]any{"delay": 7200})
	r := p.agrees(t, "two for later", q, arqFigures(p, 0))
	if !r.NextDue.Equal(time.UnixMilli(later.Score)) || r.Missing || arqOwn(p).Deferred != 2 {
		t.Errorf("jobs of which the first is due at %v read as %+v", time.UnixMilli(later.Score), r)
	}
	p.do(&first, "add", arqQueue, "nothing", map[string]any{})
	p.do(nil, "add", arqQueue, "again", map[string]any{})
	r = p.agrees(t, "two that may run", q, arqFigures(p, 0))
	if want := (backlog.Age{Since: time.UnixMilli(first.Score), Kind: backlog.AgeExact}); r.Oldest != want || r.Ready != 2 {
		t.Errorf("two jobs of which the first waits since %v read as %+v", want.Since, r)
	}
	worker := p.work(t, arqQueue, false)
	r = p.agrees(t, "one done, one to be tried again", q, func() figures {
		if own := arqOwn(p); own.Deferred != 3 {
			return figures{Ready: -1}
		}
		return figures{InFlight: backlog.Exactly(0)}
	})
	worker.kill()
	if !r.NextDue.Equal(time.UnixMilli(later.Score)) || r.Oldest.Kind != backlog.AgeUnknown {
		t.Errorf("three jobs for later read as %+v", r)
	}
	p.prove(columnWaiting, columnAge)
}

// TestArqKilledWorker: jobs of a worker that was killed are still work.
func TestArqKilledWorker(t *testing.T) {
	t.Parallel()
	p := startArq(t)
	q := layoutQuery("arq", arqQueue)
	for range 5 {
		p.do(nil, "add", arqQueue, "hold", map[string]any{})
	}
	worker := p.work(t, arqQueue, false)
	r := p.agrees(t, "two run", q, arqFigures(p, 2))
	if r.Ready != 3 || r.Oldest.Kind != backlog.AgeExact {
		t.Errorf("5 jobs of which 2 run read as %+v", r)
	}
	worker.kill()
	p.agrees(t, "the worker is killed", q, arqFigures(p, 2))
	// arq gives up what was in progress when this key expires.
	given, _ := p.server.Do("KEYS", "arq:in-progress:*").([]any)
	for _, key := range given {
		p.server.Do("DEL", key)
	}
	if r = backlogtest.MustRead(t, p.source, q); r.Ready != 5 || r.InFlight != backlog.Exactly(0) {
		t.Errorf("jobs that were given up read as %+v", r)
	}
	p.prove(columnInFlight)
}

// TestArqDelayed: a job for later falls due while there is no worker.
func TestArqDelayed(t *testing.T) {
	t.Parallel()
	p := startArq(t)
	var job arqJob
	p.do(&job, "add", arqQueue, "nothing", map[string]any{"delay": 2})
	p.fallsDue(t, layoutQuery("arq", arqQueue), time.UnixMilli(job.Score))
	p.agrees(t, "due", layoutQuery("arq", arqQueue), arqFigures(p, 0))
	p.prove(columnDue)
}

// TestArqWakes: an idle queue wakes with arq's own enqueueing, at once and for later.
func TestArqWakes(t *testing.T) {
	t.Parallel()
	p := startArq(t)
	wakes(t, p.source, layoutQuery("arq", arqQueue), func() { p.do(nil, "add", arqQueue, "nothing", map[string]any{}) })
	wakes(t, p.source, layoutQuery("arq", "arq:later"), func() { p.do(nil, "add", "arq:later", "nothing", map[string]any{"delay": 3600}) })
	p.prove(columnWakeUp)
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

// holdArq: arq gives the job to another worker when a key of the first one expires, ten
// seconds after the longest that the job may take, which is hastened here.
func holdArq(t testing.TB, _ string) holder {
	t.Helper()
	p := startArq(t)
	return holder{
		driver: p.driver, server: p.server, query: layoutQuery("arq", arqQueue),
		take: func() *driver {
			p.do(nil, "add", arqQueue, "hold", map[string]any{})
			return p.work(t, arqQueue, false)
		},
		held: func() bool { return arqOwn(p).InProgress == 1 },
		kept: func() bool {
			var jobs int64
			p.do(&jobs, "kept", arqQueue)
			return jobs > 0
		},
		recover: func() {
			taken, _ := p.server.Do("KEYS", "arq:in-progress:*").([]any)
			expire(t, p.server, taken...)
			p.work(t, arqQueue, false, true)
		},
	}
}

// TestArqKeys: what arq keeps beside its queues is no queue.
func TestArqKeys(t *testing.T) {
	t.Parallel()
	readKeys(t, layoutQuery("arq", "arq:*"), map[string]keysCase{
		"jobs to be aborted": {keys: []string{"ZADD arq:queue 1700000000000 a", "ZADD arq:abort 1700000000000 b"}, want: figures{Ready: 1, InFlight: backlog.Exactly(0)}},
	})
}

// TestDelayedJobsWakeAtZero: KEDA is notified of a delayed job when it is due, with no worker.
func TestDelayedJobsWakeAtZeroArq(t *testing.T) { //nolint:tparallel // it measures, so it begins before the tests that run side by side
	delayedJobsWakeAtZero(t, delayArq, "arq")
}

// TestKilledWorkers: a job that a worker holds is work from before the worker is killed until
// another one has finished it.
func TestKilledWorkersArq(t *testing.T) {
	t.Parallel()
	killedWorkers(t, holdArq, "arq")
}
