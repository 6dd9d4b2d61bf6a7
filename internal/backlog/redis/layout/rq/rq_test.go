package rq_test

import (
	"strings"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// rqCounts are what RQ itself counts.
type rqCounts struct {
	Queued, Intermediate, Started, Scheduled, ToSchedule, Ready, Deferred, Failed int64
}

type rqJob struct {
	ID string
	At float64 // enqueued, Unix time in seconds
}

// rqVersions are the installations of RQ.
func rqVersions() []string { return []string{"rq-1", "rq-2", "rq"} }

func startRQ(t testing.TB, name string) *layouttest.Python {
	t.Helper()
	major := map[string]string{"rq-1": "1", "rq-2": "2", "rq": "3"}[name]
	return layouttest.StartPython(t, name, major, "%R~rq:*")
}

func eachRQ(t *testing.T, test func(*testing.T, *layouttest.Python)) {
	t.Helper()
	layouttest.EachVersion(t, rqVersions(), startRQ, test)
}

// rqFigures are the figures of RQ's own registries.
func rqFigures(p *layouttest.Python, queue string) func() layouttest.Figures {
	return func() layouttest.Figures {
		var own rqCounts
		p.Do(&own, "counts", queue)
		return layouttest.Figures{Ready: own.Queued, Due: own.ToSchedule + own.Ready, InFlight: backlog.Exactly(own.Intermediate + own.Started)}
	}
}

// TestRQCounts: jobs on the queue and their age, jobs that wait for others, retries, a
// queue that RQ does not know, suspension.
func TestRQCounts(t *testing.T) {
	t.Parallel()
	eachRQ(t, func(t *testing.T, p *layouttest.Python) {
		t.Helper()
		q := layouttest.Query("rq", "emails", "age", "payload")
		own := rqFigures(p, "emails")
		p.CheckUnknown(t, q, `"emails"`, "no other")

		var first, front, failing rqJob
		p.Do(&first, "add", "emails", "nothing", map[string]any{})
		p.Do(nil, "add", "emails", "nothing", map[string]any{})
		p.Do(nil, "dependsOn", "emails", first.ID)
		r := p.Agrees(t, "two jobs and one that waits for the first", q, own)
		if since := time.UnixMicro(int64(first.At * 1e6)); r.Ready != 2 || r.Oldest.Kind != backlog.AgeExact || r.Oldest.Since.Sub(since).Abs() > time.Millisecond {
			t.Errorf("two jobs, the first waiting since %v, read as %+v", since, r)
		}
		if r = backlogtest.MustRead(t, p.Source, layouttest.Query("rq", "emails")); r.Oldest.Kind != backlog.AgeUnknown {
			t.Errorf("the age is known without the payload: %+v", r)
		}
		p.Do(&front, "add", "emails", "nothing", map[string]any{"at_front": true})
		p.Agrees(t, "one more at the front", q, own)

		if p.Name == "rq" {
			p.Do(nil, "leaveReady", "emails")
			if r = p.Agrees(t, "one whose dependency is done", q, own); r.Due != 1 {
				t.Errorf("a job whose dependency is done reads as %+v", r)
			}
		}

		p.Do(nil, "suspend")
		if r = backlogtest.MustRead(t, p.Source, q); !r.Paused || r.Ready != 3 {
			t.Errorf("a suspended queue reads as %+v", r)
		}
		p.Do(nil, "resume")
		if r = backlogtest.MustRead(t, p.Source, q); r.Paused {
			t.Errorf("a queue that goes on reads as %+v", r)
		}

		p.Do(&failing, "add", "emails", "fail", map[string]any{"retry": 3600})
		p.Work(t, "emails", map[string]any{"burst": true})
		r = p.Agrees(t, "all done, one to be tried again", q, func() layouttest.Figures {
			var counts rqCounts
			p.Do(&counts, "counts", "emails")
			if counts.Scheduled != 1 || counts.Queued+counts.Started != 0 {
				return layouttest.Figures{Ready: -1}
			}
			return own()
		})
		if in := time.Until(r.NextDue); in < 55*time.Minute || in > 61*time.Minute || r.Missing {
			t.Errorf("a retry in an hour reads as %+v", r)
		}
		p.CheckUnknown(t, layouttest.Query("rq", "email"), `"email"`, "emails")
		p.CheckUnknown(t, layouttest.Query("rq", "emails", "prefix", "rq:other"), "no other")

		p.Do(nil, "add", "drained", "nothing", map[string]any{})
		p.Work(t, "drained", map[string]any{"burst": true})
		drained := layouttest.Query("rq", "drained")
		if r = p.Agrees(t, "drained", drained, func() layouttest.Figures { return layouttest.Figures{InFlight: backlog.Exactly(0)} }); r.Missing || r.Warning != "" {
			t.Errorf("an empty queue that RQ knows reads as %+v", r)
		}
		p.Prove(layouttest.Waiting, layouttest.Age, layouttest.Paused)
	})
}

// TestRQKilledWorker: the job of a worker that was killed is still work.
func TestRQKilledWorker(t *testing.T) {
	t.Parallel()
	eachRQ(t, func(t *testing.T, p *layouttest.Python) {
		t.Helper()
		q := layouttest.Query("rq", "emails")
		for range 2 {
			p.Do(nil, "add", "emails", "hold", map[string]any{})
		}
		worker := p.Work(t, "emails", map[string]any{})
		running := func() layouttest.Figures {
			own := rqFigures(p, "emails")()
			if own.Ready != 1 || own.InFlight.N != 1 {
				return layouttest.Figures{Ready: -1}
			}
			return own
		}
		p.Agrees(t, "one runs", q, running)
		worker.Kill()
		p.Agrees(t, "its worker is killed", q, running)
		p.Prove(layouttest.InFlight)
	})
}

// TestRQTaken: a job that a worker has taken and not begun yet is one job, wherever the
// worker was killed.
func TestRQTaken(t *testing.T) {
	t.Parallel()
	eachRQ(t, func(t *testing.T, p *layouttest.Python) {
		t.Helper()
		q := layouttest.Query("rq", "mails", "age", "payload")
		own := rqFigures(p, "mails")
		for range 5 {
			p.Do(nil, "add", "mails", "hold", map[string]any{})
		}
		for i, starts := range []bool{false, true, true, false} {
			p.Do(nil, "take", "mails", starts)
			r := p.Agrees(t, "taken", q, own)
			if r.Ready != int64(4-i) || r.InFlight.N != int64(i+1) || r.Oldest.Kind != backlog.AgeExact {
				t.Errorf("%d of 5 jobs taken read as %+v", i+1, r)
			}
		}
		denied := layouttest.OpenServer(t, p.Server, layouttest.User(redistest.Version{}, p.Server, "%R~rq:*", redis.ACLRules))
		r := backlogtest.MustRead(t, denied, layouttest.Query("rq", "mails"))
		if r.InFlight.N != 6 || r.Quality != backlog.UpperBound {
			t.Errorf("without the right to tell them apart, 4 jobs, 2 of them in two places, read as %+v", r)
		}
	})
}

// TestRQDelayed: a scheduled job falls due while there is no worker.
func TestRQDelayed(t *testing.T) {
	t.Parallel()
	eachRQ(t, func(t *testing.T, p *layouttest.Python) {
		t.Helper()
		q := layouttest.Query("rq", "emails")
		var due float64
		p.Do(&due, "addIn", "emails", 3)
		p.FallsDue(t, q, time.UnixMicro(int64(due*1e6)))
		r := p.Agrees(t, "due", q, rqFigures(p, "emails"))
		if r.Due != 1 || r.Oldest.Kind != backlog.AgeExact || r.Oldest.Since.Sub(time.UnixMicro(int64(due*1e6))).Abs() > time.Second {
			t.Errorf("a job that fell due at %v reads as %+v", due, r)
		}
		p.Prove(layouttest.Due)
	})
}

// TestRQWithoutScheduler: scheduled jobs that have been due for minutes, while no worker
// with a scheduler holds the lock of the queue, are work that nothing moves. They count
// even so, because a worker that they wake may bring the scheduler, until
// OrphanedAfter has passed.
func TestRQWithoutScheduler(t *testing.T) {
	t.Parallel()
	eachRQ(t, func(t *testing.T, p *layouttest.Python) {
		t.Helper()
		emails := layouttest.Query("rq", "emails")
		bounded := layouttest.Query("rq", "emails", "orphanedAfter", "1ms")
		p.Do(nil, "addAt", "emails", 60)
		if r := backlogtest.MustRead(t, p.Source, emails); r.Due != 1 || r.Quality != backlog.Exact || r.Orphaned != 0 || r.Warning != "" {
			t.Errorf("a job that has been due for a minute reads as %+v", r)
		}
		p.Do(nil, "addAt", "emails", 3600)
		r := backlogtest.MustRead(t, p.Source, emails)
		if r.Due != 2 || r.Quality != backlog.UpperBound || r.Orphaned != 1 || !strings.Contains(r.Warning, "rq:scheduler-lock:emails") || !strings.Contains(r.Warning, "orphanedAfter") {
			t.Errorf("jobs, one of them due for an hour without a scheduler, read as %+v", r)
		}
		if r = backlogtest.MustRead(t, p.Source, bounded); r.Due != 2 || r.Orphaned != 1 {
			t.Errorf("at the first look at jobs without a scheduler they read as %+v", r)
		}
		redistest.Eventually(t, "the job without a scheduler has stopped counting", func() bool {
			r = backlogtest.MustRead(t, p.Source, bounded)
			return r.Due == 1 && r.Ignored == 1 && r.Orphaned == 0
		})
		if !strings.Contains(r.Warning, "rq:scheduler-lock:emails") || r.Missing {
			t.Errorf("a job that stopped counting reads as %+v", r)
		}

		var locked []string
		p.Do(&locked, "lock", "emails")
		for _, q := range []backlog.Query{emails, bounded} {
			if r = backlogtest.MustRead(t, p.Source, q); len(locked) != 1 || r.Due != 2 || r.Quality != backlog.Exact || r.Orphaned+r.Ignored != 0 || r.Warning != "" {
				t.Errorf("jobs that are due while a scheduler holds %v read as %+v", locked, r)
			}
		}
	})
}

// TestRQWakes: an idle queue wakes with RQ's own enqueueing, at once and for later.
func TestRQWakes(t *testing.T) {
	t.Parallel()
	eachRQ(t, func(t *testing.T, p *layouttest.Python) {
		t.Helper()
		layouttest.CheckWakes(t, p.Source, layouttest.Query("rq", "emails"), func() { p.Do(nil, "add", "emails", "nothing", map[string]any{}) })
		layouttest.CheckWakes(t, p.Source, layouttest.Query("rq", "later"), func() { p.Do(nil, "addIn", "later", 3600) })
		layouttest.CheckWakes(t, p.Source, layouttest.Query("rq", "front"), func() { p.Do(nil, "add", "front", "nothing", map[string]any{"at_front": true}) })
		layouttest.CheckWakes(t, p.Source, layouttest.Query("rq", "paused"), func() { p.Do(nil, "suspend") })
		p.Prove(layouttest.WakeUp)
	})
}

func delayRQ(t testing.TB, name string) layouttest.Delayer {
	t.Helper()
	p := startRQ(t, name)
	return layouttest.Delayer{Driver: p.Driver, Server: p.Server, Query: layouttest.PlainQuery("rq"), Delay: func(queue string) time.Time {
		var due float64
		p.Do(&due, "addIn", queue, 3)
		return layouttest.UnixSeconds(due)
	}}
}

// holdRQ: RQ gives the job up a minute and a half after it has heard of the worker last.
func holdRQ(t testing.TB, name string) layouttest.Holder {
	t.Helper()
	p := startRQ(t, name)
	counts := func() (own rqCounts) { p.Do(&own, "counts", "mail"); return own }
	return layouttest.Holder{
		Driver: p.Driver, Server: p.Server, Query: layouttest.Query("rq", "mail"),
		Take: func() *layouttest.Driver {
			p.Do(nil, "add", "mail", "hold", map[string]any{})
			return p.Work(t, "mail", map[string]any{})
		},
		Held: func() bool { return counts().Started == 1 },
		Kept: func() bool { own := counts(); return own.Queued+own.Intermediate+own.Started > 0 },
	}
}

// TestDelayedJobsWakeAtZero: KEDA is notified of a delayed job when it is due, with no worker.
func TestDelayedJobsWakeAtZero(t *testing.T) {
	layouttest.DelayedJobsWakeAtZero(t, delayRQ, rqVersions()...)
}

// TestKilledWorkers: a job that a worker holds is work from before the worker is killed until
// another one has finished it.
func TestKilledWorkers(t *testing.T) {
	t.Parallel()
	layouttest.KilledWorkers(t, holdRQ, rqVersions()...)
}

// TestRQElsewhere: an application with another prefix than the trigger has.
func TestRQElsewhere(t *testing.T) {
	t.Parallel()
	p := startRQ(t, "rq")
	p.Do(nil, "add", "emails", "nothing", map[string]any{})
	layouttest.CheckHint(t, p.Server, layouttest.Query("rq", "emails", "prefix", "shop"), `prefix "rq"`)
}
