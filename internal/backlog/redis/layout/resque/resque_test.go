package resque_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// A library is an application on node-resque, which keeps the keys of Resque and of
// resque-scheduler, and its server.
type library struct {
	*layouttest.Driver
	t         testing.TB
	namespace string
	server    *redistest.Server
}

func startResque(t testing.TB, namespace string) *library {
	t.Helper()
	r := &library{t: t, namespace: namespace, server: redistest.Start(t)}
	r.Driver = r.start()
	r.Introduce("resque", "9")
	return r
}

func (r *library) start(args ...string) *layouttest.Driver {
	r.t.Helper()
	env := []string{"REDIS_ADDRESS=" + r.server.Addr(), "NAMESPACE=" + r.namespace, "FRAMEWORK=" + layouttest.Installed(r.t, "resque")}
	return layouttest.StartScript(r.t, env, []string{"node"}, "resque/driver.js", args...)
}

// resqueCounts is what node-resque itself reports about a queue; Next is in milliseconds.
type resqueCounts struct {
	Size, Due, Next, Work int64
	Known                 bool
}

func (r *library) counts(queue string) resqueCounts {
	r.t.Helper()
	var own resqueCounts
	r.Do(&own, "counts", queue)
	return own
}

// agree reads the queue and holds the reading against what node-resque itself tells.
func (r *library) agree(step string, source backlog.Source, q backlog.Query) backlog.Reading {
	r.t.Helper()
	own, reading := layouttest.AtRest(r.t, step, source, q, r.counts)
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
	source := layouttest.OpenServer(t, r.server, layouttest.User(redistest.Version{}, r.server, "%R~shop:*", redis.ACLRules, redis.ACLFrameworkRules, redis.ACLResqueRules, redis.ACLPatternRules))
	mail, other := layouttest.Query("resque", "mail", "namespace", "shop"), layouttest.Query("resque", "other", "namespace", "shop")
	r.agree("nothing", source, mail)
	r.Do(nil, "push", "other", "sleep", 0)
	if reading := r.agree("wrong name", source, mail); !strings.Contains(reading.Hint, "other") {
		t.Errorf("the hint does not name the other queue: %q", reading.Hint)
	}
	for i := range 7 {
		r.Do(nil, "push", "mail", "sleep", i)
	}
	r.agree("enqueued", source, mail)
	r.agree("enqueued", source, other)
	at := time.Now().Add(time.Hour).UnixMilli()
	for i := range 3 {
		r.Do(nil, "at", "mail", at, "sleep", i)
	}
	r.Do(nil, "at", "other", at, "sleep", 0)
	r.agree("delayed", source, mail)
	past := time.Now().Add(-time.Minute)
	for i := range 3 {
		r.Do(nil, "at", "mail", past.UnixMilli(), "sleep", 10+i)
		r.Do(nil, "at", "mail", past.Add(time.Duration(i)*time.Second).UnixMilli(), "sleep", 20+i)
	}
	r.Do(nil, "at", "other", past.UnixMilli(), "sleep", 1)
	reading := r.agree("due", source, mail)
	// Resque counts whole seconds, to the nearest one.
	if age := reading.Oldest; reading.Due != 6 || age.Kind != backlog.AgeLowerBound || !age.Since.Equal(past.Round(time.Second)) {
		t.Errorf("due since %v, %+v", past, reading)
	}
	r.agree("due", source, other)
	if refused, _ := r.server.Do("ACL", "LOG").([]any); len(refused) > 0 {
		t.Errorf("refused were %v", refused)
	}
	r.Prove(layouttest.Waiting)
}

// TestResqueDue: delayed jobs and retries fall due with neither worker nor scheduler.
func TestResqueDue(t *testing.T) {
	t.Parallel()
	r := startResque(t, "resque")
	source := layouttest.OpenServer(t, r.server, nil)
	q := layouttest.Query("resque", "mail")
	await := func(step string) {
		t.Helper()
		next := r.counts("mail").Next
		reading := r.agree(step, source, q)
		due := time.UnixMilli(next)
		if next > 0 {
			due = layouttest.NotYetDue(t, reading, due)
			time.Sleep(time.Until(due)) // What a reader does.
		}
		// On a busy machine it may be due before Resque was asked when it will be.
		reading = r.agree(step, source, q)
		if reading.Due != 1 || reading.Oldest.Kind != backlog.AgeExact || next > 0 && !reading.Oldest.Since.Equal(due) {
			t.Errorf("%s, when it is due: %+v", step, reading)
		}
	}
	r.Do(nil, "in", "mail", 5000, "sleep", 0)
	await("delayed")
	r.Do(nil, "del", "mail", "sleep", 0)

	r.Do(nil, "push", "mail", "fail")
	worker := r.start("worker", "mail")
	redistest.Eventually(t, "the job has failed", func() bool {
		own := r.counts("mail")
		return own.Next > 0 && own.Work == 0
	})
	worker.Kill()
	await("retried")
	r.Prove(layouttest.Due)
	r.ProveOf("due jobs alone", layouttest.Age)
}

// TestResqueInFlight: what a worker holds is work, also when the worker was killed.
func TestResqueInFlight(t *testing.T) {
	t.Parallel()
	r := startResque(t, "resque")
	source := layouttest.OpenServer(t, r.server, nil)
	q, other := layouttest.Query("resque", "mail"), layouttest.Query("resque", "other")
	r.Do(nil, "push", "mail", "sleep", 60000)
	worker := r.start("worker", "mail", "other")
	redistest.Eventually(t, "the worker has the job", func() bool {
		reading := backlogtest.MustRead(t, source, q)
		if reading.Backlog() == 0 {
			t.Fatalf("no worker has done the job, and the reading is %+v", reading)
		}
		return reading.InFlight == backlog.Exactly(1)
	})
	if reading := backlogtest.MustRead(t, source, other); reading.InFlight != backlog.Exactly(0) {
		t.Errorf("another queue: %+v", reading)
	}
	worker.Kill()
	if reading := r.agree("killed", source, q); reading.InFlight != backlog.Exactly(1) {
		t.Errorf("after the worker was killed: %+v", reading)
	}
	// The next worker does what comes, after which it holds nothing.
	r.Do(nil, "push", "other", "sleep", 0)
	r.start("worker", "other")
	redistest.Eventually(t, "the job is done", func() bool { return backlogtest.MustRead(t, source, other).Backlog() == 0 })
	r.Prove(layouttest.InFlight)
}

// TestResqueWakes: an idle queue wakes when a job is enqueued or delayed.
func TestResqueWakes(t *testing.T) {
	t.Parallel()
	r := startResque(t, "resque")
	source := layouttest.OpenServer(t, r.server, nil)
	q := layouttest.Query("resque", "mail")
	layouttest.CheckWakes(t, source, q, func() { r.Do(nil, "push", "mail", "sleep", 0) })
	layouttest.CheckWakes(t, source, q, func() { r.Do(nil, "in", "mail", 60000, "sleep", 0) })
	r.agree("woken", source, q)
	r.Prove(layouttest.WakeUp)
}

func delayResque(t testing.TB, _ string) layouttest.Delayer {
	t.Helper()
	r := startResque(t, "resque")
	return layouttest.Delayer{Driver: r.Driver, Server: r.server, Query: layouttest.PlainQuery("resque"), Delay: func(queue string) time.Time {
		r.Do(nil, "in", queue, 2500, "sleep", 0)
		return time.UnixMilli(r.counts(queue).Next)
	}}
}

// holdResque: Resque moves the job to the failed ones when an operator cleans up.
func holdResque(t testing.TB, _ string) layouttest.Holder {
	t.Helper()
	r := startResque(t, "resque")
	return layouttest.Holder{
		Driver: r.Driver, Server: r.server, Query: layouttest.Query("resque", "mail"),
		Take: func() *layouttest.Driver {
			r.Do(nil, "push", "mail", "sleep", 3_600_000)
			return r.start("worker", "mail")
		},
		Held:    func() bool { return r.counts("mail").Work == 1 },
		Kept:    func() bool { own := r.counts("mail"); return own.Size+own.Work > 0 },
		Recover: func() { r.Do(nil, "clean") },
	}
}

// TestDelayedJobsWakeAtZero: KEDA is notified of a delayed job when it is due, with no worker.
func TestDelayedJobsWakeAtZero(t *testing.T) {
	layouttest.DelayedJobsWakeAtZero(t, delayResque, "resque")
}

// TestKilledWorkers: a job that a worker holds is work from before the worker is killed until
// another one has finished it.
func TestKilledWorkers(t *testing.T) {
	t.Parallel()
	layouttest.KilledWorkers(t, holdResque, "resque")
}
