package beequeue_test

import (
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// A library is Bee-Queue at work on a server of its own.
type library struct {
	*layouttest.Driver
	server *redistest.Server
	source backlog.Source
}

// beequeueCounts are what Bee-Queue itself counts.
type beequeueCounts struct{ Waiting, Active, Succeeded, Failed, Delayed int64 }

// startBeequeue opens a source whose user has the documented rights and no others.
func startBeequeue(t testing.TB) *library {
	t.Helper()
	b := &library{server: redistest.Start(t)}
	b.Driver = b.start(t)
	more := layouttest.User(redistest.Version{Name: "redis-7"}, b.server, "%R~bq:*", redis.ACLRules, redis.ACLFrameworkRules)
	b.source = layouttest.OpenServer(t, b.server, more)
	b.Introduce("beequeue", "2")
	return b
}

// start starts a further process that uses Bee-Queue.
func (b *library) start(t testing.TB) *layouttest.Driver {
	t.Helper()
	return layouttest.StartScript(t, []string{"NODE_PATH=" + layouttest.Installed(t, "beequeue", "node_modules")}, []string{"node"}, "beequeue/driver.js", b.server.Addr())
}

func (b *library) query(queue string) backlog.Query {
	return layouttest.Query("beequeue", queue, "age", "payload")
}

// add adds a job with the given fate and returns when it was added.
func (b *library) add(queue, fate string, options map[string]any) time.Time {
	b.T.Helper()
	var ms int64
	if options == nil {
		options = map[string]any{}
	}
	b.Do(&ms, "add", queue, fate, options)
	return time.UnixMilli(ms)
}

func (b *library) counts(queue string) beequeueCounts {
	b.T.Helper()
	var own beequeueCounts
	b.Do(&own, "counts", queue)
	return own
}

// agree returns the reading of a queue in which nothing moves, and holds it against
// what Bee-Queue counts. due is how many delayed jobs are due.
func (b *library) agree(t testing.TB, step, queue string, due int64) (backlog.Reading, beequeueCounts) {
	t.Helper()
	own := b.counts(queue)
	want := layouttest.Figures{Ready: own.Waiting, Due: due, InFlight: backlog.Exactly(own.Active)}
	r := layouttest.HoldTo(t, step, b.source, b.query(queue), layouttest.Query("beequeue", queue), own, want)
	return r, own
}

// TestBeequeueCounts: waiting and delayed jobs, their age, and queues that do not exist.
func TestBeequeueCounts(t *testing.T) {
	t.Parallel()
	b := startBeequeue(t)
	if r, _ := b.agree(t, "never used", "emails", 0); !r.Missing || r.Warning == "" {
		t.Errorf("a queue that was never used: %+v", r)
	}
	later := time.Now().Add(time.Hour).Truncate(time.Millisecond)
	b.add("emails", "done", map[string]any{"delayUntil": later.UnixMilli()})
	b.add("emails", "done", map[string]any{"delayUntil": later.Add(time.Hour).UnixMilli()})
	r, own := b.agree(t, "delayed", "emails", 0)
	if own.Delayed != 2 || !r.NextDue.Equal(later) || r.Missing {
		t.Errorf("two delayed jobs: %+v, want the next to be due at %v", r, later)
	}
	first := b.add("emails", "done", nil)
	for range 3 {
		b.add("emails", "done", nil)
	}
	r, own = b.agree(t, "waiting", "emails", 0)
	if own.Waiting != 4 || r.Oldest != (backlog.Age{Since: first, Kind: backlog.AgeExact}) {
		t.Errorf("Bee-Queue counts %+v, oldest is %+v, want %v exactly", own, r.Oldest, first)
	}
	b.Prove(layouttest.Waiting, layouttest.Age)
}

// TestBeequeueDue: at NextDue, with no worker alive, a delayed job is due.
func TestBeequeueDue(t *testing.T) {
	t.Parallel()
	b := startBeequeue(t)
	due := time.Now().Add(1500 * time.Millisecond).Truncate(time.Millisecond)
	b.add("later", "done", map[string]any{"delayUntil": due.UnixMilli()})
	if next := layouttest.NotYetDue(t, backlogtest.MustRead(t, b.source, b.query("later")), due); !next.Equal(due) {
		t.Fatalf("it is due at %v, the reading says %v", due, next)
	}
	time.Sleep(time.Until(due)) // What a reader does.
	r, own := b.agree(t, "at its time", "later", 1)
	if own.Delayed != 1 || r.Oldest != (backlog.Age{Since: due, Kind: backlog.AgeExact}) || !r.NextDue.IsZero() {
		t.Errorf("a job that is due: %+v, Bee-Queue counts %+v", r, own)
	}
	b.Prove(layouttest.Due)
}

// TestBeequeueWorkers: active jobs stay work when their worker is killed, failed ones
// are none, and retried ones are due later.
func TestBeequeueWorkers(t *testing.T) {
	t.Parallel()
	b := startBeequeue(t)
	for range 5 {
		b.add("held", "hang", nil)
	}
	worker := b.start(t)
	worker.Do(nil, "work", "held", 2)
	redistest.Eventually(t, "two jobs are active", func() bool { return b.counts("held").Active == 2 })
	b.agree(t, "at work", "held", 0)
	worker.Kill()
	if r, own := b.agree(t, "killed", "held", 0); r.InFlight.N != 2 || r.Ready != 3 {
		t.Errorf("a killed worker held 2 of 5 jobs: %+v, Bee-Queue counts %+v", r, own)
	}

	b.add("retried", "fail", map[string]any{"retries": 1, "backoff": 3_600_000})
	b.add("retried", "fail", nil)
	b.add("retried", "done", nil)
	b.start(t).Do(nil, "work", "retried", 1)
	redistest.Eventually(t, "the jobs have run", func() bool {
		own := b.counts("retried")
		return own.Delayed == 1 && own.Failed == 1 && own.Succeeded == 1 && own.Active == 0
	})
	r, _ := b.agree(t, "failed and retried", "retried", 0)
	if left := time.Until(r.NextDue); r.Backlog() != 0 || r.Missing || left < 59*time.Minute || left > time.Hour {
		t.Errorf("after a failure that is retried in an hour: %+v", r)
	}

	b.add("done", "done", nil)
	b.start(t).Do(nil, "work", "done", 1)
	redistest.Eventually(t, "the job has run", func() bool { return b.counts("done").Succeeded == 1 })
	if r, _ := b.agree(t, "drained", "done", 0); r.Missing || r.Warning != "" {
		t.Errorf("a drained queue: %+v", r)
	}
	b.Prove(layouttest.InFlight)
}

// TestBeequeueWakes: whatever way a job comes to an idle queue wakes it.
func TestBeequeueWakes(t *testing.T) {
	t.Parallel()
	b := startBeequeue(t)
	for name, options := range map[string]map[string]any{
		"added": {}, "delayed": {"delayUntil": time.Now().Add(time.Hour).UnixMilli()},
	} {
		q := b.query(name)
		layouttest.CheckWakes(t, b.source, q, func() { b.add(name, "done", options) })
		if r, _ := b.agree(t, name, name, 0); r.Backlog() == 0 && r.NextDue.IsZero() {
			t.Errorf("%s: woken for %+v", name, r)
		}
	}
	b.Prove(layouttest.WakeUp)
}

func delayBeequeue(t testing.TB, _ string) layouttest.Delayer {
	t.Helper()
	b := startBeequeue(t)
	return layouttest.Delayer{Driver: b.Driver, Server: b.server, Query: b.query, Delay: func(queue string) time.Time {
		due := time.Now().Add(1500 * time.Millisecond).UnixMilli()
		b.add(queue, "done", map[string]any{"delayUntil": due})
		return time.UnixMilli(due)
	}}
}

func holdBeequeue(t testing.TB, _ string) layouttest.Holder {
	t.Helper()
	b := startBeequeue(t)
	work := func(finish bool) *layouttest.Driver {
		worker := b.start(t)
		worker.Do(nil, "work", "mail", 1, map[string]any{"stallInterval": 500, "finish": finish})
		return worker
	}
	return layouttest.Holder{
		Driver: b.Driver, Server: b.server, Query: b.query("mail"),
		Take: func() *layouttest.Driver {
			b.add("mail", "hang", nil)
			return work(false)
		},
		Held:    func() bool { return b.counts("mail").Active == 1 },
		Kept:    func() bool { own := b.counts("mail"); return own.Waiting+own.Active > 0 },
		Recover: func() { work(true) },
	}
}

// TestDelayedJobsWakeAtZero: KEDA is notified of a delayed job when it is due, with no worker.
func TestDelayedJobsWakeAtZero(t *testing.T) {
	layouttest.DelayedJobsWakeAtZero(t, delayBeequeue, "beequeue")
}

// TestKilledWorkers: a job that a worker holds is work from before the worker is killed until
// another one has finished it.
func TestKilledWorkers(t *testing.T) {
	t.Parallel()
	layouttest.KilledWorkers(t, holdBeequeue, "beequeue")
}

// TestBeequeueElsewhere: at a wrong prefix the hint has the one that the library uses.
func TestBeequeueElsewhere(t *testing.T) {
	t.Parallel()
	b := startBeequeue(t)
	b.add("emails", "done", nil)
	layouttest.CheckHint(t, b.server, layouttest.Query("beequeue", "emails", "prefix", "shop"), `a queue of this name exists with the prefix "bq"`)
}
