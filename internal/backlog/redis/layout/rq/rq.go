// Package rq reads queues of RQ (Redis Queue, Python).
package rq

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

const (
	// maxIntermediate is among how many jobs that a worker has taken from the queue those
	// are looked for that it runs, and maxRunning is how many of these are looked at.
	maxIntermediate, maxRunning = 100, 1000
	// schedulerGrace is for how long a scheduled job may be due without a scheduler. A
	// worker that the job itself woke takes the lock when it starts, and one whose lock
	// another worker held tries again after ten minutes at most.
	// https://github.com/rq/rq/blob/master/rq/scheduler.py, should_reacquire_locks
	schedulerGrace = 5 * time.Minute
	// expiredGrace is for how long a running job may be expired: each worker gives such
	// jobs up when it starts and then every ten minutes, under a lock of fifteen minutes.
	// https://github.com/rq/rq/blob/master/rq/queue.py, acquire_maintenance_lock
	expiredGrace = 20 * time.Minute
)

// Layout is a queue of RQ (Redis Queue). The keys are those of RQ 1 to 3, which differ
// in the members of the sorted set of running jobs: up to RQ 1 a job, since RQ 2 a job, a
// colon and an execution.
// https://github.com/rq/rq/blob/master/rq/registry.py
func Layout() layout.Layout {
	return layout.Layout{
		Layout: backlog.Layout{
			Name: "rq",
			Summary: "A queue of RQ (Redis Queue, Python). Jobs with a time or a retry interval are moved to the queue by a worker with a scheduler alone, so here they count as due when their time has come, worker or none. " +
				"Jobs of rq-scheduler (a package and a process of its own) count as due as well, at most the first 100 of all queues. " +
				"It is paused while all workers are suspended (rq suspend). What a rate limit holds back counts when RQ puts it on the queue, or while nothing else is there. " +
				"Keys: PREFIX:queue:*, PREFIX:queues, PREFIX:scheduled:*, PREFIX:scheduler-lock:*, PREFIX:ready:*, PREFIX:wip:*, PREFIX:suspended, PREFIX:rl*, rq:scheduler*; PREFIX:job:* with rq-scheduler and rate limits.",
			Queue:    "name of the queue",
			Patterns: layout.FoundInRegistry("set PREFIX:queues"),
			Parameters: []backlog.Parameter{
				{Name: "prefix", Kind: backlog.KindText, Default: "rq", Doc: "RQ_KEY_PREFIX of the application."},
				{Name: "age", Kind: backlog.KindChoice, Allowed: []string{"none", "payload"}, Default: "none", Doc: "With payload the time at which the first job was enqueued is read from the job (its field enqueued_at alone). It needs the rights +lindex +hget, and to read PREFIX:job:*."},
				layout.OrphanParameter("scheduled jobs that are due while no worker with a scheduler holds PREFIX:scheduler-lock:QUEUE, for five minutes at least, and running jobs that expired and that no worker gives up, for twenty minutes at least"),
			},
			Ready:        "the jobs on the queue",
			Due:          "scheduled jobs and retries whose time has come, and jobs whose dependencies are done and that are not on the queue yet",
			InFlight:     "the jobs that workers have taken, also those of a worker that was killed, until RQ gives them up; of more than 1,000, or without the right +lindex, those that are about to start may count twice",
			Oldest:       "exact while nothing waits but scheduled work that is due; with age payload exact, the time at which the first job on the queue was enqueued; else a lower bound or unknown",
			WorkersScope: []string{"prefix"},
			Workers:      "workers with a job of any queue, by the hostname in their hash, at once. The user needs rights to the keys PREFIX:workers and PREFIX:worker:*",
		},
		Workers: workers,
		// What is kept for all queues together is read once for all that a trigger names.
		SharesCommands: true,
		Discover:       discover,
		Prepare:        prepare,
	}
}

func prefixOf(p backlog.Params) string { return cmp.Or(p.Get("prefix"), "rq") }

func newRegistry(prefix, queue string) *layout.Registry {
	list := prefix + ":queue:"
	return &layout.Registry{
		Framework: "RQ", Sets: []string{prefix + ":queues"}, Member: list + queue, Queue: queue,
		QueueOf: func(member string) string { return strings.TrimPrefix(member, list) },
	}
}

func discover(p backlog.Params) layout.Discovery {
	prefix := prefixOf(p)
	return layout.Discovery{
		Registry: newRegistry(prefix, ""),
		AnyPrefix: []layout.KeyPattern{
			{Type: "list", Prefix: prefix + ":queue:", FixedPrefix: ":queue:"},
			{Type: "zset", Prefix: prefix + ":scheduled:", FixedPrefix: ":scheduled:"},
			{Type: "zset", Prefix: prefix + ":wip:", FixedPrefix: ":wip:"},
		},
		PrefixParameter: "prefix",
	}
}

func prepare(q backlog.Query, _ layout.KeySearch) layout.Reader {
	prefix := prefixOf(q.Params)
	list := prefix + ":queue:" + q.Queue
	return &queue{
		scheduled: prefix + ":scheduled:" + q.Queue, lock: prefix + ":scheduler-lock:" + q.Queue, dependents: prefix + ":ready:" + q.Queue,
		list: list, intermediate: list + ":intermediate", wip: prefix + ":wip:" + q.Queue, suspended: prefix + ":suspended",
		jobs: prefix + ":job:", limits: prefix + ":rl",
		params: q.Params, payload: q.Params.Get("age") == "payload",
		bound:    layout.NewOrphans(q.Params).After,
		registry: *newRegistry(prefix, q.Queue),
	}
}

// A queue is read in the order in which a job passes.
type queue struct {
	// These are keys.
	scheduled, lock, dependents, list, intermediate, wip, suspended string
	// jobs is what the keys of jobs begin with, and limits what those of rate limits do.
	jobs, limits string
	params       backlog.Params
	payload      bool
	// bound is for how long orphaned work counts; zero is for ever.
	bound    time.Duration
	registry layout.Registry

	// unscheduled and outside are since when scheduled jobs, of RQ and of rq-scheduler, are
	// seen due without a scheduler; abandoned is since when jobs are seen that no worker
	// gives up.
	unscheduled, outside, abandoned layout.Streak
}

// Commands implements layout.Reader.
func (q *queue) Commands(dst []resp.Command, now time.Time) []resp.Command {
	dst = layout.ScheduleCommands(dst, q.scheduled, layout.Seconds, now)
	dst = append(dst,
		resp.Command{Key: q.dependents, KeyType: 'z', Args: []any{"ZCARD", q.dependents}},
		resp.Command{Key: q.list, KeyType: 'l', Args: []any{"LLEN", q.list}},
		resp.Command{Key: q.intermediate, KeyType: 'l', Args: []any{"LLEN", q.intermediate}},
		resp.Command{Key: q.wip, KeyType: 'z', Args: []any{"ZCARD", q.wip}},
		resp.Command{Key: q.suspended, KeyType: '$', Args: []any{"EXISTS", q.suspended}},
		// What follows changes by time alone, or wakes nothing.
		resp.Command{Key: q.lock, Args: []any{"EXISTS", q.lock}},
		resp.Command{Key: q.wip, Args: []any{"ZCOUNT", q.wip, 0, layout.Seconds.Due(now.Add(-expiredGrace))}},
		resp.Command{Key: outsideKey, Args: []any{"ZCOUNT", outsideKey, 0, layout.Seconds.Due(now)}},
		resp.Command{Key: q.scheduled, Args: []any{"ZCOUNT", q.scheduled, "-inf", layout.Seconds.Due(now.Add(-schedulerGrace))}},
		resp.Command{Key: q.limits + "-keys", Args: []any{"SRANDMEMBER", q.limits + "-keys", maxLimits}},
	)
	if q.bound > 0 {
		dst = append(dst, resp.Command{Key: q.scheduled, Args: []any{"ZCOUNT", q.scheduled, "-inf", layout.Seconds.Due(now.Add(-max(q.bound, schedulerGrace)))}})
	}
	if q.payload {
		dst = append(dst, resp.Command{Key: q.list, KeyType: 'l', Args: []any{"LINDEX", q.list, 0}})
	}
	return dst
}

// Read implements layout.Reader.
func (q *queue) Read(trips *layout.RoundTrips) (backlog.Reading, error) {
	r, s, err := q.takeCounts(trips.First())
	if err != nil {
		return r, err
	}
	unscheduled := q.noteScheduled(&r, &s, trips.Now())
	abandoned := q.noteExpired(s.expired, trips.Now())
	taken, quality, err := q.askTaken(trips, s.intermediate, s.wip)
	if err != nil {
		return r, err
	}
	r.InFlight, r.Quality = backlog.Exactly(max(0, taken-abandoned.Ignored)), max(r.Quality, quality)
	if err := q.askShared(trips, &r, s); err != nil {
		return r, err
	}
	if s.hidden && r.Backlog() == 0 {
		r.Quality = max(r.Quality, backlog.LowerBound)
		r.AddWarning("the server does not allow access to " + outsideKey + " or " + q.limits + "-keys, so jobs of rq-scheduler or of rate limits are not visible")
	}
	if r.Backlog() == 0 && r.NextDue.IsZero() && r.Ignored+abandoned.Ignored+unscheduled.Ignored == 0 {
		return q.registry.Ask(trips, r)
	}
	if s.first != "" {
		if err := q.askAge(trips, &r, s.first, s.due); err != nil {
			return r, err
		}
	}
	unscheduled.Mark(&r, fmt.Sprintf("scheduled work has been due for minutes, and no worker with a scheduler (rq worker --with-scheduler) holds the key %q", q.lock))
	abandoned.Mark(&r, fmt.Sprintf("running work in %q expired long ago, and no worker has given it up", q.wip))
	return r, nil
}
