package asynq_test

import (
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

// A library is asynq at work on a server of its own.
type library struct {
	*layouttest.Driver
	server *redistest.Server
	source backlog.Source
}

// asynqInfo is what asynq's Inspector reports about a queue.
type asynqInfo struct {
	Pending, Active, Scheduled, Retry, Archived, Aggregating, Groups int64
	Paused                                                           bool
	Latency                                                          time.Duration
	Timestamp                                                        time.Time
}

// asynqOptions are those of a task.
type asynqOptions struct {
	In    string
	Retry int
	Group string
}

// startAsynq opens a source whose user has the documented rights and no others.
func startAsynq(t testing.TB) *library {
	t.Helper()
	a := &library{server: redistest.Start(t)}
	a.Driver = a.start(t)
	a.Introduce("asynq", "0")
	more := layouttest.User(redistest.Version{Name: "redis-7"}, a.server, "%R~asynq:{*}:* %R~asynq:queues", redis.ACLRules, redis.ACLFrameworkRules)
	a.source = layouttest.OpenServer(t, a.server, more)
	return a
}

// start starts a further process that uses asynq.
func (a *library) start(t testing.TB) *layouttest.Driver {
	t.Helper()
	return layouttest.StartDriver(t, nil, layouttest.Installed(t, "asynq", "driver"), a.server.Addr())
}

func (a *library) query(queue string) backlog.Query {
	return layouttest.Query("asynq", queue, "age", "payload")
}

// add enqueues a task whose type says what becomes of it, and returns when it is due.
func (a *library) add(queue, kind string, o asynqOptions) time.Time {
	a.T.Helper()
	var due time.Time
	a.Do(&due, "add", queue, kind, o)
	return due
}

func (a *library) info(queue string) asynqInfo {
	a.T.Helper()
	var own asynqInfo
	a.Do(&own, "info", queue)
	return own
}

// agree returns the reading of a queue in which nothing moves, and holds it against
// what the Inspector tells. due is how many scheduled and retried tasks are due.
func (a *library) agree(t testing.TB, step, queue string, due int64) (backlog.Reading, asynqInfo) {
	t.Helper()
	own := a.info(queue)
	want := layouttest.Figures{Ready: own.Pending, Due: due + own.Aggregating, InFlight: backlog.Exactly(own.Active)}
	r := layouttest.HoldTo(t, step, a.source, a.query(queue), layouttest.Query("asynq", queue), own, want)
	if r.Paused != own.Paused {
		t.Errorf("%s: paused is %t, asynq tells %+v", step, r.Paused, own)
	}
	return r, own
}

// TestAsynqCounts: pending and scheduled tasks, their age, groups, paused queues and
// queues that do not exist.
func TestAsynqCounts(t *testing.T) {
	t.Parallel()
	a := startAsynq(t)
	if r := backlogtest.MustRead(t, a.source, a.query("emails")); !r.Missing || r.Warning == "" {
		t.Errorf("a queue that was never used: %+v", r)
	}
	a.add("emails", "done", asynqOptions{In: "2h"})
	later := a.add("emails", "done", asynqOptions{In: "1h"})
	r, own := a.agree(t, "scheduled", "emails", 0)
	if own.Scheduled != 2 || r.Missing || r.NextDue.Sub(later).Abs() > time.Second {
		t.Errorf("two scheduled tasks: %+v, want the next to be due at %v", r, later)
	}
	if r := backlogtest.MustRead(t, a.source, a.query("email")); !r.Missing || !strings.Contains(r.Hint, "emails") {
		t.Errorf("a queue with another name: %+v, want a warning that names emails", r)
	}

	before := time.Now()
	a.add("emails", "done", asynqOptions{})
	after := time.Now()
	for range 3 {
		a.add("emails", "done", asynqOptions{})
	}
	r, own = a.agree(t, "pending", "emails", 0)
	if own.Pending != 4 || r.Oldest.Kind != backlog.AgeExact || r.Oldest.Since.Before(before) || r.Oldest.Since.After(after) {
		t.Errorf("asynq tells %+v, oldest is %+v, want it between %v and %v", own, r.Oldest, before, after)
	}
	// The Inspector takes the time of its latency a little later than its Timestamp.
	if since := own.Timestamp.Add(-own.Latency); r.Oldest.Since.Sub(since).Abs() > time.Second {
		t.Errorf("oldest is %v, asynq tells %v", r.Oldest.Since, since)
	}

	for i, group := range []string{"one", "one", "two"} {
		a.add("emails", "done", asynqOptions{Group: group})
		if r, own = a.agree(t, "groups", "emails", 0); own.Aggregating != int64(i+1) {
			t.Errorf("asynq tells %+v", own)
		}
	}

	a.Do(nil, "pause", "emails")
	if r, _ = a.agree(t, "paused", "emails", 0); !r.Paused {
		t.Errorf("a paused queue: %+v", r)
	}
	a.Do(nil, "resume", "emails")
	a.agree(t, "resumed", "emails", 0)
	a.Prove(layouttest.Waiting, layouttest.Age, layouttest.Paused)
}

// TestAsynqManyGroups: beyond 100 groups each counts as one task at least.
func TestAsynqManyGroups(t *testing.T) {
	t.Parallel()
	a := startAsynq(t)
	for i := range 120 {
		for range 2 {
			a.add("grouped", "done", asynqOptions{Group: strconv.Itoa(i)})
		}
	}
	own, r := a.info("grouped"), backlogtest.MustRead(t, a.source, a.query("grouped"))
	if own.Aggregating != 240 || r.Due != 220 || r.Quality != backlog.LowerBound {
		t.Errorf("240 tasks in 120 groups: %+v, asynq tells %+v", r, own)
	}
}

// TestAsynqDue: at NextDue, with no worker alive, a scheduled task is due.
func TestAsynqDue(t *testing.T) {
	t.Parallel()
	a := startAsynq(t)
	a.add("later", "done", asynqOptions{In: "2s"})
	var next time.Time
	a.Do(&next, "firstDue", "later")
	next = layouttest.NotYetDue(t, backlogtest.MustRead(t, a.source, a.query("later")), next)
	time.Sleep(time.Until(next)) // What a reader does.
	r, own := a.agree(t, "at its time", "later", 1)
	if own.Scheduled != 1 || r.Oldest != (backlog.Age{Since: next, Kind: backlog.AgeExact}) || !r.NextDue.IsZero() {
		t.Errorf("a task that is due: %+v, asynq tells %+v", r, own)
	}
	a.Prove(layouttest.Due)
}

// TestAsynqWorkers: active tasks stay work when their worker is killed, archived ones
// are none, and retried ones are due later.
func TestAsynqWorkers(t *testing.T) {
	t.Parallel()
	a := startAsynq(t)
	for range 5 {
		a.add("held", "hang", asynqOptions{})
	}
	worker := a.start(t)
	worker.Do(nil, "work", "held", 2)
	redistest.Eventually(t, "two tasks are active", func() bool { return a.info("held").Active == 2 })
	a.agree(t, "at work", "held", 0)
	worker.Kill()
	if r, own := a.agree(t, "killed", "held", 0); r.InFlight.N != 2 || r.Ready != 3 {
		t.Errorf("a killed worker held 2 of 5 tasks: %+v, asynq tells %+v", r, own)
	}

	a.add("retried", "fail", asynqOptions{Retry: 1})
	a.add("retried", "fail", asynqOptions{})
	a.add("retried", "done", asynqOptions{})
	a.start(t).Do(nil, "work", "retried", 1)
	redistest.Eventually(t, "the tasks have run", func() bool {
		own := a.info("retried")
		return own.Retry == 1 && own.Archived == 1 && own.Active == 0 && own.Pending == 0
	})
	r, _ := a.agree(t, "failed and retried", "retried", 0)
	var due time.Time
	a.Do(&due, "firstDue", "retried")
	if r.Backlog() != 0 || r.Missing || !r.NextDue.Equal(due) {
		t.Errorf("after a failure that is retried at %v: %+v", due, r)
	}
	a.Prove(layouttest.InFlight)
}

// TestAsynqAggregation: what a worker that was killed was aggregating stays work,
// which asynq's own figures leave out.
func TestAsynqAggregation(t *testing.T) {
	t.Parallel()
	a := startAsynq(t)
	for range 3 {
		a.add("grouped", "done", asynqOptions{Group: "one"})
	}
	worker := a.start(t)
	worker.Do(nil, "work", "grouped", 1)
	redistest.Eventually(t, "the group is being aggregated", func() bool { return a.info("grouped").Aggregating == 0 })
	worker.Kill()
	if r := backlogtest.MustRead(t, a.source, a.query("grouped")); r.InFlight != backlog.Exactly(1) || r.Ready+r.Due != 0 || r.Missing {
		t.Errorf("a killed worker aggregated a group: %+v", r)
	}
}

// TestAsynqWakes: whatever way a task comes to an idle queue wakes it.
func TestAsynqWakes(t *testing.T) {
	t.Parallel()
	a := startAsynq(t)
	for name, o := range map[string]asynqOptions{"added": {}, "scheduled": {In: "1h"}, "grouped": {Group: "one"}} {
		q := a.query(name)
		layouttest.CheckWakes(t, a.source, q, func() { a.add(name, "done", o) })
		if r, _ := a.agree(t, name, name, 0); r.Backlog() == 0 && r.NextDue.IsZero() {
			t.Errorf("%s: woken for %+v", name, r)
		}
	}
	q := a.query("added")
	a.Do(nil, "pause", "added")
	layouttest.CheckWakes(t, a.source, q, func() { a.Do(nil, "resume", "added") })
	a.Prove(layouttest.WakeUp)
}

func delayAsynq(t testing.TB, _ string) layouttest.Delayer {
	t.Helper()
	a := startAsynq(t)
	return layouttest.Delayer{Driver: a.Driver, Server: a.server, Query: a.query, Delay: func(queue string) (due time.Time) {
		a.add(queue, "done", asynqOptions{In: "2500ms"})
		a.Do(&due, "firstDue", queue)
		return due
	}}
}

// holdAsynq: asynq gives a task to another worker a minute after it has heard of the
// first one last.
func holdAsynq(t testing.TB, _ string) layouttest.Holder {
	t.Helper()
	a := startAsynq(t)
	return layouttest.Holder{
		Driver: a.Driver, Server: a.server, Query: a.query("mail"),
		Take: func() *layouttest.Driver {
			a.add("mail", "hang", asynqOptions{Retry: 1})
			worker := a.start(t)
			worker.Do(nil, "work", "mail", 1)
			return worker
		},
		Held: func() bool { return a.info("mail").Active == 1 },
		Kept: func() bool { own := a.info("mail"); return own.Pending+own.Active > 0 },
	}
}

// TestDelayedJobsWakeAtZero: KEDA is notified of a delayed job when it is due, with no worker.
func TestDelayedJobsWakeAtZero(t *testing.T) {
	layouttest.DelayedJobsWakeAtZero(t, delayAsynq, "asynq")
}

// TestKilledWorkers: a job that a worker holds is work from before the worker is killed until
// another one has finished it.
func TestKilledWorkers(t *testing.T) {
	t.Parallel()
	layouttest.KilledWorkers(t, holdAsynq, "asynq")
}
