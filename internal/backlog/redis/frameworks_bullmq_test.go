package redis_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// bullmq is one version of BullMQ, or of Bull, at work on a server of its own.
type bullmq struct {
	*driver
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
func startBullMQ(t testing.TB, module string) *bullmq {
	t.Helper()
	server := redistest.Start(t)
	b := &bullmq{module: module, server: server, prefix: "{shop}"}
	b.driver = b.start(t)
	library, major, _ := strings.Cut(module, "-")
	b.introduce(library, major)
	more := user(redistest.Version{Name: "redis-7"}, server, "%R~{shop}:*", redis.ACLRules, redis.ACLFrameworkRules)
	b.source = openServer(t, server, more)
	return b
}

func eachBullMQ(t *testing.T, test func(*testing.T, *bullmq)) {
	t.Helper()
	eachVersionOf(t, bullmqVersions(), startBullMQ, test)
}

// start starts a further process that uses the library.
func (b *bullmq) start(t testing.TB) *driver {
	t.Helper()
	library, _, _ := strings.Cut(b.module, "-")
	return startScript(t, []string{"NODE_PATH=" + framework(t, b.module, "node_modules")}, []string{"node"}, library+"/driver.js", b.server.Addr())
}

// major returns the major version of the library.
func (b *bullmq) major() int {
	b.t.Helper()
	text, _, _ := strings.Cut(b.version, ".")
	n, err := strconv.Atoi(text)
	if err != nil {
		b.t.Fatal(err)
	}
	return n
}

func (b *bullmq) query(queue string) backlog.Query {
	return layoutQuery("bullmq", queue, "prefix", b.prefix, "age", "payload")
}

func (b *bullmq) open(queue string) { b.t.Helper(); b.do(nil, "open", queue, b.prefix) }

// add adds a job. What becomes of it is its name.
func (b *bullmq) add(queue, name string, options map[string]any) bullmqJob {
	b.t.Helper()
	var job bullmqJob
	b.do(&job, "add", queue, b.prefix, name, options)
	return job
}

func (b *bullmq) counts(queue string) bullmqCounts {
	b.t.Helper()
	var own bullmqCounts
	b.do(&own, "counts", queue, b.prefix)
	return own
}

// agree returns the reading of a queue in which nothing moves, and holds it against
// what BullMQ counts. due is how many delayed jobs are due.
func (b *bullmq) agree(t testing.TB, step, queue string, due int64) (backlog.Reading, bullmqCounts) {
	t.Helper()
	own := b.counts(queue)
	want := figures{Ready: own.Wait + own.Paused + own.Prioritized, Due: due, InFlight: backlog.Exactly(own.Active)}
	r := holdTo(t, step, b.source, b.query(queue), layoutQuery("bullmq", queue, "prefix", b.prefix), own, want)
	return r, own
}

// TestBullMQCounts: waiting, prioritized, delayed and paused jobs, their age, the
// concurrency of the queue, and queues that do not exist.
func TestBullMQCounts(t *testing.T) {
	t.Parallel()
	eachBullMQ(t, func(t *testing.T, b *bullmq) {
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

		b.do(nil, "pause", "emails", b.prefix)
		if r, own = b.agree(t, "paused", "emails", 0); !r.Paused {
			t.Errorf("a paused queue: %+v, BullMQ counts %+v", r, own)
		}
		b.add("emails", "done", nil)
		b.agree(t, "added while paused", "emails", 0)
		b.do(nil, "resume", "emails", b.prefix)
		if r, _ = b.agree(t, "resumed", "emails", 0); r.Paused || r.Ready != 6 {
			t.Errorf("a resumed queue: %+v", r)
		}

		if b.major() >= 5 { // Before there is no concurrency of a queue.
			for _, limit := range []int64{3, 0} {
				b.do(nil, "setGlobalConcurrency", "emails", b.prefix, limit)
				if r, _ = b.agree(t, "concurrency", "emails", 0); r.MaxUseful != limit || r.Paused != (limit == 0) {
					t.Errorf("a queue of concurrency %d: %+v", limit, r)
				}
			}
		}
		b.do(nil, "obliterate", "emails", b.prefix)
		if r, _ = b.agree(t, "obliterated", "emails", 0); !r.Missing {
			t.Errorf("an obliterated queue: %+v", r)
		}
		b.prove(columnWaiting, columnPrioritised, columnAge, columnPaused)
	})
}

// TestBullMQDue: at NextDue, with no worker alive, a delayed job is due.
func TestBullMQDue(t *testing.T) {
	t.Parallel()
	eachBullMQ(t, func(t *testing.T, b *bullmq) {
		t.Helper()
		job := b.add("later", "done", map[string]any{"delay": 1500})
		due := job.added().Add(1500 * time.Millisecond)
		next := notYetDue(t, backlogtest.MustRead(t, b.source, b.query("later")), due)
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
			b.do(&due, "dueBefore", "later", b.prefix, time.Now().UnixMilli())
			if due != 1 {
				t.Errorf("BullMQ counts %d due jobs", due)
			}
		}
		b.prove(columnDue)
	})
}

// TestBullMQWorkers: active jobs stay work when their worker is killed, failed ones
// are none, retried ones are due later, and parents wait for their children.
func TestBullMQWorkers(t *testing.T) {
	t.Parallel()
	eachBullMQ(t, func(t *testing.T, b *bullmq) {
		t.Helper()
		for range 5 {
			b.add("held", "hang", nil)
		}
		worker := b.start(t)
		worker.do(nil, "work", "held", b.prefix, 2)
		redistest.Eventually(t, "two jobs are active", func() bool { return b.counts("held").Active == 2 })
		b.agree(t, "at work", "held", 0)
		worker.kill()
		if r, own := b.agree(t, "killed", "held", 0); r.InFlight.N != 2 || r.Ready != 3 {
			t.Errorf("a killed worker held 2 of 5 jobs: %+v, BullMQ counts %+v", r, own)
		}

		b.add("retried", "fail", map[string]any{"attempts": 2, "backoff": map[string]any{"type": "fixed", "delay": 3_600_000}})
		b.add("retried", "fail", nil)
		b.add("retried", "done", nil)
		b.start(t).do(nil, "work", "retried", b.prefix, 1)
		redistest.Eventually(t, "the jobs have run", func() bool {
			own := b.counts("retried")
			return own.Delayed == 1 && own.Failed == 1 && own.Completed == 1 && own.Active == 0
		})
		r, _ := b.agree(t, "failed and retried", "retried", 0)
		if left := time.Until(r.NextDue); r.Backlog() != 0 || r.Missing || left < 59*time.Minute || left > time.Hour {
			t.Errorf("after a failure that is retried in an hour: %+v", r)
		}

		b.do(nil, "addFlow", "parents", b.prefix, "children")
		if r, own := b.agree(t, "parent", "parents", 0); own.WaitingChildren != 1 || r.Backlog() != 0 {
			t.Errorf("a parent that waits for its child: %+v, BullMQ counts %+v", r, own)
		}
		if r, _ := b.agree(t, "child", "children", 0); r.Ready != 1 {
			t.Errorf("the child: %+v", r)
		}
		b.prove(columnInFlight)
	})
}

// TestBullMQWakes: whatever way a job comes to an idle queue wakes it.
func TestBullMQWakes(t *testing.T) {
	t.Parallel()
	eachBullMQ(t, func(t *testing.T, b *bullmq) {
		t.Helper()
		for name, options := range map[string]map[string]any{
			"added": {}, "prioritized": {"priority": 2}, "delayed": {"delay": 3_600_000},
		} {
			q := b.query(name)
			b.open(name)
			wakes(t, b.source, q, func() { b.add(name, "done", options) })
			if r, _ := b.agree(t, name, name, 0); r.Backlog() == 0 && r.NextDue.IsZero() {
				t.Errorf("%s: woken for %+v", name, r)
			}
		}
		q := b.query("added")
		b.do(nil, "pause", "added", b.prefix)
		wakes(t, b.source, q, func() { b.do(nil, "resume", "added", b.prefix) })
		b.prove(columnWakeUp)
	})
}

// TestBullMQMarker: the marker that BullMQ 4 leaves in the list for its workers is no
// job, neither alone nor behind jobs.
func TestBullMQMarker(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	b := &bullmq{module: "bullmq-4", server: server, prefix: "bull", source: openServer(t, server, nil)}
	b.driver = b.start(t)
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

func delayBullMQ(t testing.TB, name string) delayer {
	t.Helper()
	b := startBullMQ(t, name)
	return delayer{b.driver, b.server, b.query, func(queue string) time.Time {
		return b.add(queue, "done", map[string]any{"delay": 1500}).added().Add(1500 * time.Millisecond)
	}}
}

func holdBullMQ(t testing.TB, name string) holder {
	t.Helper()
	b := startBullMQ(t, name)
	work := func(options map[string]any) *driver {
		worker := b.start(t)
		worker.do(nil, "work", "mail", b.prefix, 1, options)
		return worker
	}
	return holder{
		driver: b.driver, server: b.server, query: b.query("mail"),
		take: func() *driver {
			b.add("mail", "hang", nil)
			return work(map[string]any{"lockDuration": 1000, "stalledInterval": 500})
		},
		held:    func() bool { return b.counts("mail").Active == 1 },
		kept:    func() bool { own := b.counts("mail"); return own.Wait+own.Active > 0 },
		recover: func() { work(map[string]any{"stalledInterval": 500, "finish": true}) },
	}
}

// TestDelayedJobsWakeAtZero: KEDA is notified of a delayed job when it is due, with no worker.
func TestDelayedJobsWakeAtZeroBullMQ(t *testing.T) { //nolint:tparallel // it measures, so it begins before the tests that run side by side
	delayedJobsWakeAtZero(t, delayBullMQ, slices.Concat(bullmqVersions(), bullVersions())...)
}

// TestKilledWorkers: a job that a worker holds is work from before the worker is killed until
// another one has finished it.
func TestKilledWorkersBullMQ(t *testing.T) {
	t.Parallel()
	killedWorkers(t, holdBullMQ, slices.Concat(bullmqVersions(), bullVersions())...)
}
