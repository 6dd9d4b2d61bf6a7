package redis_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

const (
	// dueLateness is the most that may pass between the moment at which a job is due and
	// the moment at which KEDA is told.
	dueLateness = 100 * time.Millisecond
	// dueRounds is how often that is tried, for a busy machine may hold up anybody.
	dueRounds = 3
)

// A delayer is a framework that can run a job later, at work on a server of its own.
type delayer struct {
	*driver
	server *redistest.Server
	query  func(queue string) backlog.Query
	// delay adds a job to a queue and returns when it is due, as the library keeps it.
	delay func(queue string) time.Time
}

// delayers are all of them, by version. Frameworks that are not among them have no
// place for delayed jobs that anybody could look at while there is no worker: Celery's
// are held by a worker, Taskiq's by its scheduler.
func delayers() map[string]func(testing.TB) delayer {
	all := map[string]func(testing.TB) delayer{
		"asynq": func(t testing.TB) delayer {
			a := startAsynq(t)
			return delayer{a.driver, a.server, a.query, func(queue string) (due time.Time) {
				a.add(queue, "done", asynqOptions{In: "2500ms"})
				a.do(&due, "firstDue", queue)
				return due
			}}
		},
		"beequeue": func(t testing.TB) delayer {
			b := startBeequeue(t)
			return delayer{b.driver, b.server, b.query, func(queue string) time.Time {
				due := time.Now().Add(1500 * time.Millisecond).UnixMilli()
				b.add(queue, "done", map[string]any{"delayUntil": due})
				return time.UnixMilli(due)
			}}
		},
		"resque": func(t testing.TB) delayer {
			r := startResque(t, "resque")
			return delayer{r.driver, r.server, plainQuery("resque"), func(queue string) time.Time {
				var own resqueCounts
				r.do(nil, "in", queue, 2500, "sleep", 0)
				r.do(&own, "counts", queue)
				return time.UnixMilli(own.Next)
			}}
		},
		"dramatiq": func(t testing.TB) delayer {
			p := startDramatiq(t, "{}")
			query := func(queue string) backlog.Query { return dramatiqQuery(queue) }
			return delayer{p.driver, p.server, query, func(queue string) time.Time {
				var sent dramatiqMessage
				p.do(&sent, "add", queue, "nothing", map[string]any{"delay": 1500})
				return time.UnixMilli(sent.ETA)
			}}
		},
		"arq": func(t testing.TB) delayer {
			p := startArq(t)
			return delayer{p.driver, p.server, plainQuery("arq"), func(queue string) time.Time {
				var job arqJob
				p.do(&job, "add", queue, "nothing", map[string]any{"delay": 1.5})
				return time.UnixMilli(job.Score)
			}}
		},
	}
	for _, version := range bullmqVersions() {
		all[version] = func(t testing.TB) delayer {
			b := startBullMQ(t, version)
			return delayer{b.driver, b.server, b.query, func(queue string) time.Time {
				return b.add(queue, "done", map[string]any{"delay": 1500}).added().Add(1500 * time.Millisecond)
			}}
		}
	}
	for _, version := range rqVersions() {
		all[version] = func(t testing.TB) delayer {
			p := startRQ(t, version)
			return delayer{p.driver, p.server, plainQuery("rq"), func(queue string) time.Time {
				var due float64
				p.do(&due, "addIn", queue, 3)
				return unixSeconds(due)
			}}
		}
	}
	for _, major := range sidekiqVersions() {
		all["sidekiq-"+major] = func(t testing.TB) delayer {
			s := startSidekiq(t, major)
			return delayer{s.driver, s.server, plainQuery("sidekiq"), func(queue string) time.Time {
				s.do(nil, "in", queue, 1.5, "SleepJob", 0)
				return unixSeconds(s.counts(queue).Next)
			}}
		}
	}
	for _, major := range laravelVersions() {
		all["laravel-"+major] = func(t testing.TB) delayer {
			l := startLaravel(t, major)
			query := func(queue string) backlog.Query { return layoutQuery("laravel", queue, "prefix", laravelPrefix) }
			return delayer{l.driver, l.server, query, func(queue string) time.Time {
				var due int64
				l.do(nil, "later", queue, 2, "SleepJob")
				l.do(&due, "due", queue)
				return time.Unix(due, 0)
			}}
		}
	}
	return all
}

// plainQuery returns queries of a layout without parameters.
func plainQuery(layout string) func(queue string) backlog.Query {
	return func(queue string) backlog.Query { return layoutQuery(layout, queue) }
}

// unixSeconds returns a moment to the microsecond, which is all that a float64 holds.
func unixSeconds(seconds float64) time.Time { return time.UnixMicro(int64(seconds * 1e6)) }

// TestDelayedJobsWakeAtZero: KEDA is told of a delayed job within dueLateness of the
// moment at which it is due, and not before, while there is no worker. It runs before
// the tests that run side by side, for it measures.
func TestDelayedJobsWakeAtZero(t *testing.T) { //nolint:tparallel // the test has the machine to itself
	for name, start := range delayers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := start(t)
			s := startScaler(t, d.server)
			var late time.Duration
			for round := range dueRounds {
				queue := fmt.Sprintf("later-%d", round)
				messages := s.stream(t, d.query(queue))
				if m := next(t, messages); m.active {
					t.Fatal("a queue without jobs is active")
				}
				due := d.delay(queue)
				if left := time.Until(due); left < dueLateness {
					t.Fatalf("the job is due in %s, which is too soon to tell", left)
				}
				m := next(t, messages)
				late = m.at.Sub(due)
				t.Logf("%s %s, round %d: due at %s, KEDA told %s later", d.layout, d.version, round+1, due.Format("15:04:05.000000"), late)
				if !m.active || late < 0 {
					t.Fatalf("KEDA was told active=%t %s before the job was due", m.active, -late)
				}
				if late <= dueLateness {
					d.prove(columnDue)
					return
				}
			}
			t.Errorf("KEDA was told %s after the job was due, more than %s", late, dueLateness)
		})
	}
}
