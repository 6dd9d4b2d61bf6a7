package laravel_test

import (
	"fmt"
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

const laravelPrefix = "shop_database_"

func eachLaravel(t *testing.T, test func(*testing.T, *library)) {
	t.Helper()
	layouttest.EachVersion(t, laravelVersions(), startLaravel, test)
}

// laravelVersions are the installations of Laravel.
func laravelVersions() []string { return []string{"laravel-10", "laravel-13"} }

// A library is an application and its server.
type library struct {
	*layouttest.Driver
	t      testing.TB
	major  string
	server *redistest.Server
}

func startLaravel(t testing.TB, name string) *library {
	t.Helper()
	major := strings.TrimPrefix(name, "laravel-")
	l := &library{t: t, major: major, server: redistest.Start(t)}
	l.Driver = l.start()
	l.IntroduceDebian("laravel", name, major)
	return l
}

func (l *library) start(args ...string) *layouttest.Driver {
	l.t.Helper()
	env := []string{"REDIS_ADDRESS=" + l.server.Addr(), "LARAVEL_PREFIX=" + laravelPrefix}
	program := []string{layouttest.Installed(l.t, "laravel-"+l.major, "run"), "php"}
	return layouttest.StartScript(l.t, env, program, "laravel/driver.php", args...)
}

func (l *library) query(params ...string) backlog.Query {
	return layouttest.Query("laravel", "mail", append([]string{"prefix", laravelPrefix}, params...)...)
}

// laravelCounts is what Laravel itself reports about a queue. Created is 0 if it does not.
type laravelCounts struct{ Size, Pending, Delayed, Reserved, Created int64 }

func (l *library) counts(queue string) laravelCounts {
	l.t.Helper()
	var own laravelCounts
	l.Do(&own, "counts", queue)
	return own
}

// agree reads the queue, of whose jobs some are due in the future, and holds the reading
// against what Laravel itself tells.
func (l *library) agree(step string, source backlog.Source, q backlog.Query, future int64) (backlog.Reading, laravelCounts) {
	l.t.Helper()
	own, r := layouttest.AtRest(l.t, step, source, q, l.counts)
	expired := r.Due - (own.Delayed - future)
	got := laravelCounts{Size: r.Backlog() + future, Pending: r.Ready, Delayed: r.Due - expired + future, Reserved: r.InFlight.N + expired, Created: own.Created}
	if diff := cmp.Diff(own, got); diff != "" {
		l.t.Errorf("%s: Laravel (-) and reading (+): %s", step, diff)
	}
	if r.NextDue.IsZero() != (future == 0) || r.Missing != (own.Size == 0) || expired < 0 {
		l.t.Errorf("%s: %+v, Laravel: %+v", step, r, own)
	}
	return r, own
}

// TestLaravelCounts: the figures are those of Laravel itself.
func TestLaravelCounts(t *testing.T) {
	t.Parallel()
	eachLaravel(t, func(t *testing.T, l *library) {
		t.Helper()
		source := layouttest.OpenServer(t, l.server, layouttest.User(redistest.Version{}, l.server, "%R~"+laravelPrefix+"queues:*", redis.ACLRules, redis.ACLFrameworkRules))
		q := l.query("age", "payload")
		if r, _ := l.agree("nothing", source, q, 0); !strings.Contains(r.Warning, laravelPrefix+"queues:mail") {
			t.Errorf("a queue that never was has the warning %q", r.Warning)
		}
		for range 5 {
			l.Do(nil, "push", "mail", "SleepJob")
		}
		r, own := l.agree("pushed", source, q, 0)
		switch since := time.Unix(own.Created, 0); {
		case l.major == "10":
			if r.Oldest.Kind != backlog.AgeUnknown {
				t.Errorf("oldest is %+v, which Laravel 10 does not write", r.Oldest)
			}
		case r.Oldest != (backlog.Age{Since: since, Kind: backlog.AgeExact}):
			t.Errorf("oldest is %+v, want %v", r.Oldest, since)
		default:
			l.Prove(layouttest.Age)
		}
		l.Do(nil, "later", "mail", 3600, "SleepJob")
		l.agree("delayed", source, q, 1)
		l.Do(nil, "take", "mail")
		if r, _ = l.agree("taken", source, q, 1); r.InFlight != backlog.Exactly(1) || r.Ready != 4 {
			t.Errorf("taken: %+v", r)
		}
		l.Do(nil, "clear", "mail")
		if r, _ = l.agree("cleared", source, q, 0); r.Warning != "" {
			t.Errorf("a queue that was drained has the warning %q", r.Warning)
		}
		// SCAN is tried once or twice, to find a queue that is not there under another prefix:
		// its lists and its sorted sets may be asked for in two sweeps.
		if refused := fmt.Sprint(l.server.Do("ACL", "LOG")); strings.Count(refused, "count ") != 1 || !strings.Contains(refused, " reason command context toplevel object scan ") || strings.Contains(refused, "[count 3") {
			t.Errorf("refused were %s, want only SCAN", refused)
		}
		l.Prove(layouttest.Waiting)
	})
}

// TestLaravelDue: delayed jobs, retries and abandoned jobs fall due with no worker.
func TestLaravelDue(t *testing.T) {
	t.Parallel()
	eachLaravel(t, func(t *testing.T, l *library) {
		t.Helper()
		source := layouttest.OpenServer(t, l.server, nil)
		q := l.query()
		// The delay of 2 s, in whole seconds of Laravel's clock, began after that.
		await := func(step string, after time.Time) {
			t.Helper()
			var due int64
			l.Do(&due, "due", "mail")
			before, next := time.Now(), time.Unix(due, 0)
			if next.Before(after.Add(time.Second)) || next.After(before.Add(3*time.Second)) {
				t.Fatalf("%s between %v and %v: due at %v", step, after, before, next)
			}
			r := backlogtest.MustRead(t, source, q)
			next = layouttest.NotYetDue(t, r, next)
			time.Sleep(time.Until(next)) // What a reader does.
			if r, _ = l.agree(step, source, q, 0); r.Due != 1 || r.Oldest.Kind != backlog.AgeExact || !r.Oldest.Since.Equal(next) {
				t.Errorf("%s, when it is due: %+v", step, r)
			}
			l.Do(nil, "clear", "mail")
		}
		began := time.Now()
		l.Do(nil, "later", "mail", 2, "SleepJob")
		await("delayed", began)

		began = time.Now()
		l.Do(nil, "push", "mail", "FailJob")
		worker := l.start("worker", "mail")
		redistest.Eventually(t, "the job has failed", func() bool { return l.counts("mail").Delayed == 1 })
		worker.Kill()
		await("retried", began)

		l.Do(nil, "push", "mail", "SleepJob")
		l.Do(nil, "take", "mail")
		redistest.Eventually(t, "retry_after has passed", func() bool {
			r, _ := l.agree("abandoned", source, q, 0)
			if r.Backlog() != 1 {
				t.Fatalf("abandoned: %+v", r)
			}
			return r.Due == 1
		})
		l.Prove(layouttest.Due)
		l.ProveOf("due jobs alone", layouttest.Age)
	})
}

// TestLaravelInFlight: what a worker holds is work, also when the worker was killed.
func TestLaravelInFlight(t *testing.T) {
	t.Parallel()
	eachLaravel(t, func(t *testing.T, l *library) {
		t.Helper()
		source := layouttest.OpenServer(t, l.server, nil)
		q := l.query()
		l.Do(nil, "push", "mail", "SleepJob", map[string]any{"seconds": 60})
		worker := l.start("worker", "mail")
		redistest.Eventually(t, "the worker has the job", func() bool {
			r := backlogtest.MustRead(t, source, q)
			if r.Backlog() == 0 {
				t.Fatalf("no worker has done the job, and the reading is %+v", r)
			}
			return r.InFlight == backlog.Exactly(1)
		})
		worker.Kill()
		if r, _ := l.agree("killed", source, q, 0); r.InFlight.N+r.Due != 1 {
			t.Errorf("after the worker was killed: %+v", r)
		}
		// The next worker does it, after which there is nothing.
		l.Do(nil, "clear", "mail")
		l.Do(nil, "push", "mail", "SleepJob")
		l.start("worker", "mail")
		redistest.Eventually(t, "the job is done", func() bool { return backlogtest.MustRead(t, source, q).Missing })
		l.Prove(layouttest.InFlight)
	})
}

// TestLaravelWakes: an idle queue wakes when Laravel enqueues or delays.
func TestLaravelWakes(t *testing.T) {
	t.Parallel()
	eachLaravel(t, func(t *testing.T, l *library) {
		t.Helper()
		source := layouttest.OpenServer(t, l.server, nil)
		q := l.query()
		layouttest.CheckWakes(t, source, q, func() { l.Do(nil, "push", "mail", "SleepJob") })
		layouttest.CheckWakes(t, source, q, func() { l.Do(nil, "later", "mail", 60, "SleepJob") })
		l.agree("woken", source, q, 1)
		l.Prove(layouttest.WakeUp)
	})
}

func delayLaravel(t testing.TB, name string) layouttest.Delayer {
	t.Helper()
	l := startLaravel(t, name)
	query := func(queue string) backlog.Query { return layouttest.Query("laravel", queue, "prefix", laravelPrefix) }
	return layouttest.Delayer{Driver: l.Driver, Server: l.server, Query: query, Delay: func(queue string) time.Time {
		var due int64
		l.Do(nil, "later", queue, 2, "SleepJob")
		l.Do(&due, "due", queue)
		return time.Unix(due, 0)
	}}
}

func holdLaravel(t testing.TB, name string) layouttest.Holder {
	t.Helper()
	l := startLaravel(t, name)
	return layouttest.Holder{
		Driver: l.Driver, Server: l.server, Query: l.query(),
		Take: func() *layouttest.Driver {
			l.Do(nil, "push", "mail", "SleepJob", map[string]any{"seconds": 3600})
			return l.start("worker", "mail")
		},
		Held:    func() bool { return l.counts("mail").Reserved == 1 },
		Kept:    func() bool { return l.counts("mail").Size > 0 },
		Recover: func() { l.start("worker", "mail") }, // It waits for retry_after, 3 s.
	}
}

// TestDelayedJobsWakeAtZero: KEDA is notified of a delayed job when it is due, with no worker.
func TestDelayedJobsWakeAtZero(t *testing.T) {
	layouttest.DelayedJobsWakeAtZero(t, delayLaravel, laravelVersions()...)
}

// TestKilledWorkers: a job that a worker holds is work from before the worker is killed until
// another one has finished it.
func TestKilledWorkers(t *testing.T) {
	t.Parallel()
	layouttest.KilledWorkers(t, holdLaravel, laravelVersions()...)
}

// TestLaravelElsewhere: at a wrong prefix the hint has the one that the library uses.
func TestLaravelElsewhere(t *testing.T) {
	t.Parallel()
	eachLaravel(t, func(t *testing.T, l *library) {
		t.Helper()
		l.Do(nil, "push", "mail", "SleepJob")
		layouttest.CheckHint(t, l.server, layouttest.Query("laravel", "mail", "prefix", "laravel_database_"), `a queue of this name exists with the prefix "`+laravelPrefix+`"`)
	})
}
