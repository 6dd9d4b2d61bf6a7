package arq_test

import (
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
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

func startArq(t testing.TB) *layouttest.Python {
	t.Helper()
	return layouttest.StartPython(t, "arq", "0", "%R~arq:*")
}

func arqOwn(p *layouttest.Python) arqCounts {
	p.T.Helper()
	var own arqCounts
	p.Do(&own, "counts", arqQueue)
	return own
}

// arqFigures are the figures of arq's own statuses, once running jobs run.
func arqFigures(p *layouttest.Python, running int64) func() layouttest.Figures {
	return func() layouttest.Figures {
		own := arqOwn(p)
		if own.InProgress != running {
			return layouttest.Figures{Ready: -1}
		}
		return layouttest.Figures{Ready: own.Queued, InFlight: backlog.Exactly(own.InProgress)}
	}
}

// TestArqCounts: jobs that may run, jobs for later, retries, and the age of the first.
func TestArqCounts(t *testing.T) {
	t.Parallel()
	p := startArq(t)
	q := layouttest.Query("arq", arqQueue)
	p.CheckUnknown(t, q)
	var later, first arqJob
	p.Do(&later, "add", arqQueue, "nothing", map[string]any{"delay": 3600})
	p.Do(nil, "add", arqQueue, "nothing", map[string]any{"delay": 7200})
	r := p.Agrees(t, "two for later", q, arqFigures(p, 0))
	if !r.NextDue.Equal(time.UnixMilli(later.Score)) || r.Missing || arqOwn(p).Deferred != 2 {
		t.Errorf("jobs, the first due at %v, read as %+v", time.UnixMilli(later.Score), r)
	}
	p.Do(&first, "add", arqQueue, "nothing", map[string]any{})
	p.Do(nil, "add", arqQueue, "again", map[string]any{})
	r = p.Agrees(t, "two that may run", q, arqFigures(p, 0))
	if want := (backlog.Age{Since: time.UnixMilli(first.Score), Kind: backlog.AgeExact}); r.Oldest != want || r.Ready != 2 {
		t.Errorf("two jobs, the first waiting since %v, read as %+v", want.Since, r)
	}
	worker := p.Work(t, arqQueue, false)
	r = p.Agrees(t, "one done, one to be tried again", q, func() layouttest.Figures {
		if own := arqOwn(p); own.Deferred != 3 {
			return layouttest.Figures{Ready: -1}
		}
		return layouttest.Figures{InFlight: backlog.Exactly(0)}
	})
	worker.Kill()
	if !r.NextDue.Equal(time.UnixMilli(later.Score)) || r.Oldest.Kind != backlog.AgeUnknown {
		t.Errorf("three jobs for later read as %+v", r)
	}
	p.Prove(layouttest.Waiting, layouttest.Age)
}

// TestArqKilledWorker: jobs of a worker that was killed are still work.
func TestArqKilledWorker(t *testing.T) {
	t.Parallel()
	p := startArq(t)
	q := layouttest.Query("arq", arqQueue)
	for range 5 {
		p.Do(nil, "add", arqQueue, "hold", map[string]any{})
	}
	worker := p.Work(t, arqQueue, false)
	r := p.Agrees(t, "two run", q, arqFigures(p, 2))
	if r.Ready != 3 || r.Oldest.Kind != backlog.AgeExact {
		t.Errorf("5 jobs, 2 of them running, read as %+v", r)
	}
	worker.Kill()
	p.Agrees(t, "the worker is killed", q, arqFigures(p, 2))
	// arq gives up what was in progress when this key expires.
	given, _ := p.Server.Do("KEYS", "arq:in-progress:*").([]any)
	for _, key := range given {
		p.Server.Do("DEL", key)
	}
	if r = backlogtest.MustRead(t, p.Source, q); r.Ready != 5 || r.InFlight != backlog.Exactly(0) {
		t.Errorf("jobs that were given up read as %+v", r)
	}
	p.Prove(layouttest.InFlight)
}

// TestArqDelayed: a job for later falls due while there is no worker.
func TestArqDelayed(t *testing.T) {
	t.Parallel()
	p := startArq(t)
	var job arqJob
	p.Do(&job, "add", arqQueue, "nothing", map[string]any{"delay": 2})
	p.FallsDue(t, layouttest.Query("arq", arqQueue), time.UnixMilli(job.Score))
	p.Agrees(t, "due", layouttest.Query("arq", arqQueue), arqFigures(p, 0))
	p.Prove(layouttest.Due)
}

// TestArqWakes: an idle queue wakes with arq's own enqueueing, at once and for later.
func TestArqWakes(t *testing.T) {
	t.Parallel()
	p := startArq(t)
	layouttest.CheckWakes(t, p.Source, layouttest.Query("arq", arqQueue), func() { p.Do(nil, "add", arqQueue, "nothing", map[string]any{}) })
	layouttest.CheckWakes(t, p.Source, layouttest.Query("arq", "arq:later"), func() { p.Do(nil, "add", "arq:later", "nothing", map[string]any{"delay": 3600}) })
	p.Prove(layouttest.WakeUp)
}

func delayArq(t testing.TB, _ string) layouttest.Delayer {
	t.Helper()
	p := startArq(t)
	return layouttest.Delayer{Driver: p.Driver, Server: p.Server, Query: layouttest.PlainQuery("arq"), Delay: func(queue string) time.Time {
		var job arqJob
		p.Do(&job, "add", queue, "nothing", map[string]any{"delay": 1.5})
		return time.UnixMilli(job.Score)
	}}
}

// holdArq: arq gives the job to another worker when a key of the first one expires, ten
// seconds after the longest that the job may take, which is hastened here.
func holdArq(t testing.TB, _ string) layouttest.Holder {
	t.Helper()
	p := startArq(t)
	return layouttest.Holder{
		Driver: p.Driver, Server: p.Server, Query: layouttest.Query("arq", arqQueue),
		Take: func() *layouttest.Driver {
			p.Do(nil, "add", arqQueue, "hold", map[string]any{})
			return p.Work(t, arqQueue, false)
		},
		Held: func() bool { return arqOwn(p).InProgress == 1 },
		Kept: func() bool {
			var jobs int64
			p.Do(&jobs, "kept", arqQueue)
			return jobs > 0
		},
		Recover: func() {
			taken, _ := p.Server.Do("KEYS", "arq:in-progress:*").([]any)
			layouttest.Expire(t, p.Server, taken...)
			p.Work(t, arqQueue, false, true)
		},
	}
}

// TestArqKeys: what arq keeps next to its queues is no queue.
func TestArqKeys(t *testing.T) {
	t.Parallel()
	layouttest.ReadKeys(t, layouttest.Query("arq", "arq:*"), map[string]layouttest.KeysCase{
		"jobs to be aborted": {Keys: []string{"ZADD arq:queue 1700000000000 a", "ZADD arq:abort 1700000000000 b"}, Want: layouttest.Figures{Ready: 1, InFlight: backlog.Exactly(0)}},
	})
}

// TestDelayedJobsWakeAtZero: KEDA is notified of a delayed job when it is due, with no worker.
func TestDelayedJobsWakeAtZero(t *testing.T) {
	layouttest.DelayedJobsWakeAtZero(t, delayArq, "arq")
}

// TestKilledWorkers: a job that a worker holds is work from before the worker is killed until
// another one has finished it.
func TestKilledWorkers(t *testing.T) {
	t.Parallel()
	layouttest.KilledWorkers(t, holdArq, "arq")
}
