package redis_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// A resque is an application on node-resque, which keeps the keys of Resque and of
// resque-scheduler, and its server.
type resque struct {
	*driver
	t         testing.TB
	namespace string
	server    *redistest.Server
}

func startResque(t testing.TB, namespace string) *resque {
	t.Helper()
	r := &resque{t: t, namespace: namespace, server: redistest.Start(t)}
	r.driver = r.start()
	r.introduce("resque", "9")
	return r
}

func (r *resque) start(args ...string) *driver {
	r.t.Helper()
	env := []string{"REDIS_ADDRESS=" + r.server.Addr(), "NAMESPACE=" + r.namespace, "FRAMEWORK=" + framework(r.t, "resque")}
	return startScript(r.t, env, []string{"node"}, "resque/driver.js", args...)
}

// resqueCounts is what node-resque itself tells of a queue; Next is in milliseconds.
type resqueCounts struct {
	Size, Due, Next, Work int64
	Known                 bool
}

func (r *resque) counts(queue string) resqueCounts {
	r.t.Helper()
	var own resqueCounts
	r.do(&own, "counts", queue)
	return own
}

// agree reads the queue and holds the reading against what node-resque itself tells.
func (r *resque) agree(step string, source backlog.Source, q backlog.Query) backlog.Reading {
	r.t.Helper()
	own, reading := atRest(r.t, step, source, q, r.counts)
	// Resque notes a queue with its first job; it is known here with its first plan.
	own.Known = own.Known || own.Due > 0 || own.Next > 0
	got := resqueCounts{Size: reading.Ready, Due: reading.Due, Work: reading.InFlight.N, Known: !reading.Missing}
	if !reading.NextDue.IsZero() {
		got.Next = reading.NextDue.UnixMilli()
	}
	if diff := cmp.Diff(own, got); diff != "" {
		r.t.Errorf("%s: Resque (-) and reading (+): %s", step, diff)
	}
	return reading
}

// TestResqueCounts: the figures are those of the library itself.
func TestResqueCounts(t *testing.T) {
	t.Parallel()
	r := startResque(t, "shop")
	source := openServer(t, r.server, user(redistest.Version{}, r.server, "%R~shop:*", redis.ACLRules, redis.ACLFrameworkRules, redis.ACLResqueRules, redis.ACLPatternRules))
	mail, other := layoutQuery("resque", "mail", "namespace", "shop"), layoutQuery("resque", "other", "namespace", "shop")
	r.agree("nothing", source, mail)
	r.do(nil, "push", "other", "sleep", 0)
	if reading := r.agree("wrong name", source, mail); !strings.Contains(reading.Hint, "other") {
		t.Errorf("the hint does not name the other queue: %q", reading.Hint)
	}
	for i := range 7 {
		r.do(nil, "push", "mail", "sleep", i)
	}
	r.agree("enqueued", source, mail)
	r.agree("enqueued", source, other)
	at := time.Now().Add(time.Hour).UnixMilli()
	for i := range 3 {
		r.do(nil, "at", "mail", at, "sleep", i)
	}
	r.do(nil, "at", "other", at, "sleep", 0)
	r.agree("delayed", source, mail)
	past := time.Now().Add(-time.Minute)
	for i := range 3 {
		r.do(nil, "at", "mail", past.UnixMilli(), "sleep", 10+i)
		r.do(nil, "at", "mail", past.Add(time.Duration(i)*time.Second).UnixMilli(), "sleep", 20+i)
	}
	r.do(nil, "at", "other", past.UnixMilli(), "sleep", 1)
	reading := r.agree("due", source, mail)
	// Resque counts whole seconds, to the nearest one.
	if age := reading.Oldest; reading.Due != 6 || age.Kind != backlog.AgeLowerBound || !age.Since.Equal(past.Round(time.Second)) {
		t.Errorf("due since %v, %+v", past, reading)
	}
	r.agree("due", source, other)
	if refused, _ := r.server.Do("ACL", "LOG").([]any); len(refused) > 0 {
		t.Errorf("refused were %v", refused)
	}
	r.prove(columnWaiting)
}

// TestResqueDue: delayed jobs and retries fall due with neither worker nor scheduler.
func TestResqueDue(t *testing.T) {
	t.Parallel()
	r := startResque(t, "resque")
	source := openServer(t, r.server, nil)
	q := layoutQuery("resque", "mail")
	await := func(step string) {
		t.Helper()
		next := time.UnixMilli(r.counts("mail").Next)
		reading := r.agree(step, source, q)
		next = notYetDue(t, reading, next)
		time.Sleep(time.Until(next)) // What a reader does.
		if reading = r.agree(step, source, q); reading.Due != 1 || reading.Oldest.Kind != backlog.AgeExact || !reading.Oldest.Since.Equal(next) {
			t.Errorf("%s, when it is due: %+v", step, reading)
		}
	}
	r.do(nil, "in", "mail", 2000, "sleep", 0)
	await("delayed")
	r.do(nil, "del", "mail", "sleep", 0)

	r.do(nil, "push", "mail", "fail")
	worker := r.start("worker", "mail")
	redistest.Eventually(t, "the job has failed", func() bool {
		own := r.counts("mail")
		return own.Next > 0 && own.Work == 0
	})
	worker.kill()
	await("retried")
	r.prove(columnDue)
	r.proveOf("due jobs alone", columnAge)
}

// TestResqueInFlight: what a worker holds is work, also when the worker was killed.
func TestResqueInFlight(t *testing.T) {
	t.Parallel()
	r := startResque(t, "resque")
	source := openServer(t, r.server, nil)
	q, other := layoutQuery("resque", "mail"), layoutQuery("resque", "other")
	r.do(nil, "push", "mail", "sleep", 60000)
	worker := r.start("worker", "mail", "other")
	redistest.Eventually(t, "the worker has the job", func() bool {
		reading := backlogtest.MustRead(t, source, q)
		if reading.Backlog() == 0 {
			t.Fatalf("nobody has done the job, and the reading is %+v", reading)
		}
		return reading.InFlight == backlog.Exactly(1)
	})
	if reading := backlogtest.MustRead(t, source, other); reading.InFlight != backlog.Exactly(0) {
		t.Errorf("another queue: %+v", reading)
	}
	worker.kill()
	if reading := r.agree("killed", source, q); reading.InFlight != backlog.Exactly(1) {
		t.Errorf("after the worker was killed: %+v", reading)
	}
	// The next worker does what comes, after which it holds nothing.
	r.do(nil, "push", "other", "sleep", 0)
	r.start("worker", "other")
	redistest.Eventually(t, "the job is done", func() bool { return backlogtest.MustRead(t, source, other).Backlog() == 0 })
	r.prove(columnInFlight)
}

// TestResqueWakes: an idle queue wakes when a job is enqueued or delayed.
func TestResqueWakes(t *testing.T) {
	t.Parallel()
	r := startResque(t, "resque")
	source := openServer(t, r.server, nil)
	q := layoutQuery("resque", "mail")
	wakes(t, source, q, func() { r.do(nil, "push", "mail", "sleep", 0) })
	wakes(t, source, q, func() { r.do(nil, "in", "mail", 60000, "sleep", 0) })
	r.agree("woken", source, q)
	r.prove(columnWakeUp)
}

// TestResqueBounds: of more jobs than are looked at, a reading says that it knows not all.
func TestResqueBounds(t *testing.T) {
	t.Parallel()
	r := startResque(t, "resque")
	source := openServer(t, r.server, nil)
	q := layoutQuery("resque", "mail")
	past := time.Now().Add(-time.Hour)
	type seen struct {
		Due     int64
		Quality backlog.Quality
	}
	want := func(step string, w seen) {
		t.Helper()
		reading := backlogtest.MustRead(t, source, q)
		if diff := cmp.Diff(w, seen{reading.Due, reading.Quality}); diff != "" {
			t.Errorf("%s: %s", step, diff)
		}
	}
	for i := range 99 {
		r.do(nil, "at", "other", past.UnixMilli(), "sleep", i)
	}
	want("99 others", seen{0, backlog.Exact})
	r.do(nil, "at", "mail", past.UnixMilli(), "sleep", 0)
	want("one of 100", seen{1, backlog.Capped})
	r.do(nil, "del", "mail", "sleep", 0)
	for i := range 100 {
		r.do(nil, "at", "other", past.Add(time.Duration(i)*time.Second).UnixMilli(), "sleep", -1)
	}
	want("others at 100 moments", seen{1, backlog.LowerBound})
}

func delayResque(t testing.TB, _ string) delayer {
	t.Helper()
	r := startResque(t, "resque")
	return delayer{r.driver, r.server, plainQuery("resque"), func(queue string) time.Time {
		r.do(nil, "in", queue, 2500, "sleep", 0)
		return time.UnixMilli(r.counts(queue).Next)
	}}
}

// holdResque: Resque moves the job to the failed ones when somebody cleans up.
func holdResque(t testing.TB, _ string) holder {
	t.Helper()
	r := startResque(t, "resque")
	return holder{
		driver: r.driver, server: r.server, query: layoutQuery("resque", "mail"),
		take: func() *driver {
			r.do(nil, "push", "mail", "sleep", 3_600_000)
			return r.start("worker", "mail")
		},
		held:    func() bool { return r.counts("mail").Work == 1 },
		kept:    func() bool { own := r.counts("mail"); return own.Size+own.Work > 0 },
		recover: func() { r.do(nil, "clean") },
	}
}

// TestDelayedJobsWakeAtZero: KEDA is notified of a delayed job when it is due, with no worker.
func TestDelayedJobsWakeAtZeroResque(t *testing.T) { //nolint:tparallel // it measures, so it begins before the tests that run side by side
	delayedJobsWakeAtZero(t, delayResque, "resque")
}

// TestKilledWorkers: a job that a worker holds is work from before the worker is killed until
// another one has finished it.
func TestKilledWorkersResque(t *testing.T) {
	t.Parallel()
	killedWorkers(t, holdResque, "resque")
}
