// Package rq reads queues of RQ (Redis Queue, Python).
package rq

import (
	"cmp"
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
			Ready:    "the jobs on the queue",
			Due:      "scheduled jobs and retries whose time has come, and jobs whose dependencies are done and that are not on the queue yet",
			InFlight: "the jobs that workers have taken, also those of a worker that was killed, until RQ gives them up; of more than 1,000, or without the right +lindex, those that are about to start may count twice",
			Oldest:   "exact while nothing waits but scheduled work that is due; with age payload exact, the time at which the first job on the queue was enqueued; else a lower bound or unknown",
		},
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

func prepare(q backlog.Query, _ layout.KeySearch) layout.Step {
	prefix := prefixOf(q.Params)
	list := prefix + ":queue:" + q.Queue
	return &queueStep{
		scheduled: prefix + ":scheduled:" + q.Queue, lock: prefix + ":scheduler-lock:" + q.Queue, dependents: prefix + ":ready:" + q.Queue,
		list: list, intermediate: list + ":intermediate", wip: prefix + ":wip:" + q.Queue, suspended: prefix + ":suspended",
		jobs: prefix + ":job:", limits: prefix + ":rl",
		params: q.Params, payload: q.Params.Get("age") == "payload",
		bound:    layout.NewOrphans(q.Params).After,
		registry: *newRegistry(prefix, q.Queue),
	}
}

// A queueStep asks for the counts of a queue, in the order in which a job passes.
type queueStep struct {
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

// Commands implements layout.Step.
func (s *queueStep) Commands(dst []resp.Command, now time.Time) []resp.Command {
	dst = layout.ScheduleCommands(dst, s.scheduled, layout.Seconds, now)
	dst = append(dst,
		resp.Command{Key: s.dependents, KeyType: 'z', Args: []any{"ZCARD", s.dependents}},
		resp.Command{Key: s.list, KeyType: 'l', Args: []any{"LLEN", s.list}},
		resp.Command{Key: s.intermediate, KeyType: 'l', Args: []any{"LLEN", s.intermediate}},
		resp.Command{Key: s.wip, KeyType: 'z', Args: []any{"ZCARD", s.wip}},
		resp.Command{Key: s.suspended, KeyType: '$', Args: []any{"EXISTS", s.suspended}},
		// What follows changes by time alone, or wakes nothing.
		resp.Command{Key: s.lock, Args: []any{"EXISTS", s.lock}},
		resp.Command{Key: s.wip, Args: []any{"ZCOUNT", s.wip, 0, layout.Seconds.Due(now.Add(-expiredGrace))}},
		resp.Command{Key: outsideKey, Args: []any{"ZCOUNT", outsideKey, 0, layout.Seconds.Due(now)}},
		resp.Command{Key: s.scheduled, Args: []any{"ZCOUNT", s.scheduled, "-inf", layout.Seconds.Due(now.Add(-schedulerGrace))}},
		resp.Command{Key: s.limits + "-keys", Args: []any{"SRANDMEMBER", s.limits + "-keys", maxLimits}},
	)
	if s.bound > 0 {
		dst = append(dst, resp.Command{Key: s.scheduled, Args: []any{"ZCOUNT", s.scheduled, "-inf", layout.Seconds.Due(now.Add(-max(s.bound, schedulerGrace)))}})
	}
	if s.payload {
		dst = append(dst, resp.Command{Key: s.list, KeyType: 'l', Args: []any{"LINDEX", s.list, 0}})
	}
	return dst
}

// Outcome implements layout.Step.
func (s *queueStep) Outcome(replies []resp.Reply, now time.Time) layout.Outcome {
	c := resp.NewDecoder(replies)
	scheduled := layout.ReadSchedule(c, layout.Seconds)
	dependents, ready, intermediate, wip, suspended := c.Count(), c.Count(), c.Count(), c.Count(), c.Count()
	lock, expired, outside := c.OptionalCount(), c.Count(), c.OptionalCount()
	overdue, old := c.Count(), int64(0)
	limited, allowed := c.OptionalStrings()
	if s.bound > 0 {
		old = c.Count()
	}
	r := partialReading{
		queueStep: s, due: scheduled.Since, outside: outside.N, limited: limited, claimed: intermediate, wip: wip,
		hidden: !outside.Known || !allowed,
	}
	if s.payload {
		r.first, _ = c.Text()
	}
	if c.Err() != nil {
		return layout.Fail(c.Err())
	}
	r.Reading = backlog.Reading{
		Ready:    ready,
		Due:      scheduled.Due + dependents,
		NextDue:  scheduled.Next,
		Oldest:   scheduled.Age(ready + dependents),
		Paused:   suspended > 0,
		InFlight: backlog.Exactly(intermediate + wip),
	}
	if !lock.Known || lock.N > 0 {
		overdue, old = 0, 0
	}
	r.noteScheduled(overdue, min(old, overdue), now)
	r.noteExpired(expired, now)
	return r.next()
}
