package bullmq_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// A library is one version of BullMQ, or of Bull, at work on a server of its own.
type library struct {
	*layouttest.Driver
	module string
	server *redistest.Server
	source backlog.Source
	prefix string
}

// bullmqCounts are what BullMQ itself counts.
type bullmqCounts struct {
	Wait, Paused, Prioritized, Delayed, Active, Completed, Failed int64
	WaitingChildren                                               int64 `json:"waiting-children"`
}

type bullmqJob struct {
	ID        string
	Timestamp int64 // Unix time in milliseconds
}

// added is when the job was added.
func (j bullmqJob) added() time.Time { return time.UnixMilli(j.Timestamp) }

// bullmqVersions are the installations of BullMQ.
func bullmqVersions() []string {
	return []string{"bullmq-1", "bullmq-3", "bullmq-4", "bullmq-5", "bullmq-6"}
}

// bullVersions are the installations of Bull.
func bullVersions() []string { return []string{"bull-3", "bull-4"} }

// startBullMQ starts a version of BullMQ or of Bull. The scaler's user has the rights
// that are documented, and no others.
func startBullMQ(t testing.TB, module string) *library {
	t.Helper()
	server := redistest.Start(t)
	b := &library{module: module, server: server, prefix: "{shop}"}
	b.Driver = b.start(t)
	library, major, _ := strings.Cut(module, "-")
	b.Introduce(library, major)
	more := layouttest.User(redistest.Version{Name: "redis-7"}, server, "%R~{shop}:*", redis.ACLRules, redis.ACLFrameworkRules)
	b.source = layouttest.OpenServer(t, server, more)
	return b
}

func eachBullMQ(t *testing.T, test func(*testing.T, *library)) {
	t.Helper()
	layouttest.EachVersion(t, bullmqVersions(), startBullMQ, test)
}

// start starts a further process that uses the library.
func (b *library) start(t testing.TB) *layouttest.Driver {
	t.Helper()
	library, _, _ := strings.Cut(b.module, "-")
	return layouttest.StartScript(t, []string{"NODE_PATH=" + layouttest.Installed(t, b.module, "node_modules")}, []string{"node"}, library+"/driver.js", b.server.Addr())
}

// major returns the major version of the library.
func (b *library) major() int {
	b.T.Helper()
	text, _, _ := strings.Cut(b.Version, ".")
	n, err := strconv.Atoi(text)
	if err != nil {
		b.T.Fatal(err)
	}
	return n
}

func (b *library) query(queue string) backlog.Query {
	return layouttest.Query("bullmq", queue, "prefix", b.prefix, "age", "payload")
}

func (b *library) open(queue string) { b.T.Helper(); b.Do(nil, "open", queue, b.prefix) }

// add adds a job. What becomes of it is its name.
func (b *library) add(queue, name string, options map[string]any) bullmqJob {
	b.T.Helper()
	var job bullmqJob
	b.Do(&job, "add", queue, b.prefix, name, options)
	return job
}

func (b *library) counts(queue string) bullmqCounts {
	b.T.Helper()
	var own bullmqCounts
	b.Do(&own, "counts", queue, b.prefix)
	return own
}

// agree returns the reading of a queue in which nothing moves, and holds it against
// what BullMQ counts. due is how many delayed jobs are due.
func (b *library) agree(t testing.TB, step, queue string, due int64) (backlog.Reading, bullmqCounts) {
	t.Helper()
	own := b.counts(queue)
	want := layouttest.Figures{Ready: own.Wait + own.Paused + own.Prioritized, Due: due, InFlight: backlog.Exactly(own.Active)}
	r := layouttest.HoldTo(t, step, b.source, b.query(queue), layouttest.Query("bullmq", queue, "prefix", b.prefix), own, want)
	return r, own
}

// TestBullMQCounts: waiting, prioritized, delayed and paused jobs, their age, the
// concurrency of the queue, and queues that do not exist.
func TestBullMQCounts(t *testing.T) {
	t.Parallel()
	eachBullMQ(t, func(t *testing.T, b *library) {
		t.Helper()
		if r := backlogtest.MustRead(t, b.source, b.query("emails")); !r.Missing || r.Warning == "" {
			t.Errorf("a queue that was never used: %+v", r)
		}
		b.open("emails")
		if r, _ := b.agree(t, "opened", "emails", 0); r.Missing || r.Warning != "" || r.Oldest.Kind != backlog.AgeUnknown {
			t.Errorf("an empty queue: %+v", r)
		}

		delayed := b.add("emails", "done", map[string]any{"delay": 3_600_000})
		b.add("emails", "done", map[string]any{"delay": 7_200_000})
		r, _ := b.agree(t, "delayed", "emails", 0)
		if due := delayed.added().Add(time.Hour); !r.NextDue.Equal(due) || r.Missing {
			t.Errorf("two delayed jobs: %+v, want the next to be due at %v", r, due)
		}

		first := b.add("emails", "done", nil)
		b.add("emails", "done", nil)
		if r, _ = b.agree(t, "waiting", "emails", 0); r.Oldest != (backlog.Age{Since: first.added(), Kind: backlog.AgeExact}) {
			t.Errorf("two waiting jobs: oldest is %+v, want %v exactly", r.Oldest, first.added())
		}
		b.add("emails", "done", map[string]any{"lifo": true})
		b.add("emails", "done", map[string]any{"priority": 7})
		b.add("emails", "done", map[string]any{"priority": 1})
		r, own := b.agree(t, "prioritized", "emails", 0)
		if own.Wait+own.Prioritized != 5 || b.major() >= 4 && own.Prioritized != 2 || own.Delayed != 2 {
			t.Errorf("BullMQ counts %+v", own)
		}
		if r.Oldest.Kind != backlog.AgeLowerBound || r.Oldest.Since.Before(first.added()) {
			t.Errorf("with priorities: oldest is %+v, want at least %v", r.Oldest, first.added())
		}

		b.Do(nil, "pause", "emails", b.prefix)
		if r, own = b.agree(t, "paused", "emails", 0); !r.Paused {
			t.Errorf("a paused queue: %+v, BullMQ counts %+v", r, own)
		}
		b.add("emails", "done", nil)
		b.agree(t, "added while paused", "emails", 0)
		b.Do(nil, "resume", "emails", b.prefix)
		if r, _ = b.agree(t, "resumed", "emails", 0); r.Paused || r.Ready != 6 {
			t.Errorf("a resumed queue: %+v", r)
		}

		if b.major() >= 5 { // Before there is no concurrency of a queue.
			for _, limit := range []int64{3, 0} {
				b.Do(nil, "setGlobalConcurrency", "emails", b.prefix, limit)
				if r, _ = b.agree(t, "concurrency", "emails", 0); r.MaxUseful != limit || r.Paused != (limit == 0) {
					t.Errorf("a queue of concurrency %d: %+v", limit, r)
				}
			}
		}
		b.Do(nil, "obliterate", "emails", b.prefix)
		if r, _ = b.agree(t, "obliterated", "emails", 0); !r.Missing {
			t.Errorf("an obliterated queue: %+v", r)
		}
		b.Prove(layouttest.Waiting, layouttest.Prioritised, layouttest.Age, layouttest.Paused)
	})
}

// TestBullMQDue: at NextDue, with no worker alive, a delayed job is due.
func TestBullMQDue(t *testing.T) {
	t.Parallel()
	eachBullMQ(t, func(t *testing.T, b *library) {
		t.Helper()
		job := b.add("later", "done", map[string]any{"delay": 1500})
		due := job.added().Add(1500 * time.Millisecond)
		next := layouttest.NotYetDue(t, backlogtest.MustRead(t, b.source, b.query("later")), due)
		if !next.Equal(due) {
			t.Fatalf("it is due at %v, the reading says %v", due, next)
		}
		time.Sleep(time.Until(next)) // What a reader does.
		r, own := b.agree(t, "at its time", "later", 1)
		if own.Delayed != 1 || r.Oldest != (backlog.Age{Since: next, Kind: backlog.AgeExact}) || !r.NextDue.IsZero() {
			t.Errorf("a job that is due: %+v, BullMQ counts %+v", r, own)
		}
		if b.major() >= 6 { // The others do not tell how many are due.
			var due int64
			b.Do(&due, "dueBefore", "later", b.prefix, time.Now().UnixMilli())
			if due != 1 {
				t.Errorf("BullMQ counts %d due jobs", due)
			}
		}
		b.Prove(layouttest.Due)
	})
}

// TestBullMQWorkers: active jobs stay work when their worker is killed, failed ones
// are none, retried ones are due later, and parents wait for their children.
func TestBullMQWorkers(t *testing.T) {
	t.Parallel()
	eachBullMQ(t, func(t *testing.T, b *library) {
		t.Helper()
		for range 5 {
			b.add("held", "hang", nil)
		}
		worker := b.start(t)
		worker.Do(nil, "work", "held", b.prefix, 2)
		redistest.Eventually(t, "two jobs are active", func() bool { return b.counts("held").Active == 2 })
		b.agree(t, "at work", "held", 0)
		worker.Kill()
		if r, own := b.agree(t, "killed", "held", 0); r.InFlight.N != 2 || r.Ready != 3 {
			t.Errorf("a killed worker held 2 of 5 jobs: %+v, BullMQ counts %+v", r, own)
		}

		b.add("retried", "fail", map[string]any{"attempts": 2, "backoff": map[string]any{"type": "fixed", "delay": 3_600_000}})
		b.add("retried", "fail", nil)
		b.add("retried", "done", nil)
		b.start(t).Do(nil, "work", "retried", b.prefix, 1)
		redistest.Eventually(t, "the jobs have run", func() bool {
			own := b.counts("retried")
			return own.Delayed == 1 && own.Failed == 1 && own.Completed == 1 && own.Active == 0
		})
		r, _ := b.agree(t, "failed and retried", "retried", 0)
		if left := time.Until(r.NextDue); r.Backlog() != 0 || r.Missing || left < 59*time.Minute || left > time.Hour {
			t.Errorf("after a failure that is retried in an hour: %+v", r)
		}

		b.Do(nil, "addFlow", "parents", b.prefix, "children")
		if r, own := b.agree(t, "parent", "parents", 0); own.WaitingChildren != 1 || r.Backlog() != 0 {
			t.Errorf("a parent that waits for its child: %+v, BullMQ counts %+v", r, own)
		}
		if r, _ := b.agree(t, "child", "children", 0); r.Ready != 1 {
			t.Errorf("the child: %+v", r)
		}
		b.Prove(layouttest.InFlight)
	})
}

// TestBullMQWakes: whatever way a job comes to an idle queue wakes it.
func TestBullMQWakes(t *testing.T) {
	t.Parallel()
	eachBullMQ(t, func(t *testing.T, b *library) {
		t.Helper()
		for name, options := range map[string]map[string]any{
			"added": {}, "prioritized": {"priority": 2}, "delayed": {"delay": 3_600_000},
		} {
			q := b.query(name)
			b.open(name)
			layouttest.CheckWakes(t, b.source, q, func() { b.add(name, "done", options) })
			if r, _ := b.agree(t, name, name, 0); r.Backlog() == 0 && r.NextDue.IsZero() {
				t.Errorf("%s: woken for %+v", name, r)
			}
		}
		q := b.query("added")
		b.Do(nil, "pause", "added", b.prefix)
		layouttest.CheckWakes(t, b.source, q, func() { b.Do(nil, "resume", "added", b.prefix) })
		b.Prove(layouttest.WakeUp)
	})
}

// TestBullMQMarker: the marker that BullMQ 4 leaves in the list for its workers is no
// job, neither alone nor behind jobs.
func TestBullMQMarker(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	b := &library{module: "bullmq-4", server: server, prefix: "bull", source: layouttest.OpenServer(t, server, nil)}
	b.Driver = b.start(t)
	b.add("marked", "done", map[string]any{"delay": 3_600_000})
	for waiting := range int64(3) {
		if length := server.Do("LLEN", "bull:marked:wait"); length != waiting+1 {
			t.Fatalf("the list has %v elements, want %d jobs and a marker", length, waiting)
		}
		if r := backlogtest.MustRead(t, b.source, b.query("marked")); r.Ready != waiting {
			t.Errorf("a marker and %d jobs: %+v", waiting, r)
		}
		b.add("marked", "done", nil)
	}
	// What BullMQ counts comes last: counting takes the marker away.
	if r, own := b.agree(t, "counted", "marked", 0); r.Ready != 3 || own.Delayed != 1 {
		t.Errorf("after counting: %+v, BullMQ counts %+v", r, own)
	}
}

func delayBullMQ(t testing.TB, name string) layouttest.Delayer {
	t.Helper()
	b := startBullMQ(t, name)
	return layouttest.Delayer{Driver: b.Driver, Server: b.server, Query: b.query, Delay: func(queue string) time.Time {
		return b.add(queue, "done", map[string]any{"delay": 1500}).added().Add(1500 * time.Millisecond)
	}}
}

func holdBullMQ(t testing.TB, name string) layouttest.Holder {
	t.Helper()
	b := startBullMQ(t, name)
	work := func(options map[string]any) *layouttest.Driver {
		worker := b.start(t)
		worker.Do(nil, "work", "mail", b.prefix, 1, options)
		return worker
	}
	return layouttest.Holder{
		Driver: b.Driver, Server: b.server, Query: b.query("mail"),
		Take: func() *layouttest.Driver {
			b.add("mail", "hang", nil)
			return work(map[string]any{"lockDuration": 1000, "stalledInterval": 500})
		},
		Held:    func() bool { return b.counts("mail").Active == 1 },
		Kept:    func() bool { own := b.counts("mail"); return own.Wait+own.Active > 0 },
		Recover: func() { work(map[string]any{"stalledInterval": 500, "finish": true}) },
	}
}

// TestDelayedJobsWakeAtZero: KEDA is notified of a delayed job when it is due, with no worker.
func TestDelayedJobsWakeAtZero(t *testing.T) {
	layouttest.DelayedJobsWakeAtZero(t, delayBullMQ, slices.Concat(bullmqVersions(), bullVersions())...)
}

// TestKilledWorkers: a job that a worker holds is work from before the worker is killed until
// another one has finished it.
func TestKilledWorkers(t *testing.T) {
	t.Parallel()
	layouttest.KilledWorkers(t, holdBullMQ, slices.Concat(bullmqVersions(), bullVersions())...)
}

// TestBullMQElsewhere: at a wrong prefix the hint has the one that the library uses.
func TestBullMQElsewhere(t *testing.T) {
	t.Parallel()
	layouttest.EachVersion(t, slices.Concat(bullmqVersions(), bullVersions()), startBullMQ, func(t *testing.T, b *library) {
		t.Helper()
		b.add("emails", "done", nil)
		layouttest.CheckHint(t, b.server, layouttest.Query("bullmq", "emails"), "a queue of this name exists with the prefix "+strconv.Quote(b.prefix))
	})
}
