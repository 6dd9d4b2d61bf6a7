// Package bullmq reads queues of BullMQ and of Bull (Node.js).
package bullmq

import (
	"cmp"
	"fmt"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// jobClock is that of the delayed jobs of BullMQ: 4096 of them may fall into one
// millisecond and stay in order.
const jobClock layout.Clock = 4096

// Layout is a queue of BullMQ, or of Bull, whose keys are the same. The life of a
// job in these keys is that of the scripts of both:
//
//		https://github.com/taskforcesh/bullmq/tree/master/src/commands
//		https://github.com/OptimalBits/bull/tree/develop/lib/commands
//
//	 1. It is pushed to wait (paused while the queue is paused, except in BullMQ 6), added
//	    to prioritized if it has a priority (BullMQ 4 and later; before, and in Bull, it is
//	    in wait at its place), or added to delayed. With a group of BullMQ Pro it is pushed
//	    to groups:GROUP instead.
//	 2. A worker, or the QueueScheduler of BullMQ 1, moves it from delayed when it is due.
//	 3. A worker moves it to active.
//	 4. A worker moves it to completed, failed or, for a retry, to delayed. If the worker
//	    is gone the check for stalled jobs of another one moves it to wait.
func Layout() layout.Layout {
	return layout.Layout{
		Layout: backlog.Layout{
			Name: "bullmq",
			Summary: "A queue of BullMQ 1 to 6 on Redis, or of the older Bull 3 and 4 (the package bull), whose keys are the same. " +
				"Its global concurrency is the most replicas that can help. " +
				"Jobs that wait for their children are not backlog: the children are, in their own queues. " +
				"Jobs in groups of BullMQ Pro are counted as a lower bound, with a warning. " +
				"The user needs the rights of job frameworks on the keys of the queue, `PREFIX:QUEUE:*`.",
			Queue:    "name of the queue",
			Patterns: layout.FoundByScan("keys PREFIX:*:wait, active, paused, delayed, prioritized, meta and id"),
			Parameters: []backlog.Parameter{
				{Name: "prefix", Kind: backlog.KindText, Default: "bull", Doc: "The option prefix of the queue, with its braces if it has any, such as {bull}."},
				{Name: "age", Kind: backlog.KindChoice, Allowed: []string{"none", "payload"}, Default: "none", Doc: "Whether to read when the next jobs were added. It takes one more round trip, and reads that one field of their hashes."},
				layout.OrphanParameter("delayed jobs of a BullMQ before 3.2 that have been due for 5 minutes while there was no other work and no process that moves them, as BullMQ 1 has without a QueueScheduler; and jobs on the list paused of a queue that is not paused"),
			},
			Ready:    "jobs that wait, prioritized ones and those of a paused queue included",
			Due:      "delayed and retried jobs whose time has come, and which only a worker would promote",
			InFlight: "active jobs, those of workers that are gone included",
			Passing:  "the counter id of the jobs that were added, delayed ones too; not where the queue is polled",
			Oldest: "with age payload: when the job at the end of the queue was added, exact if jobs are taken in order and a lower bound with priorities or lifo; " +
				"else since when the first delayed job has been due, a lower bound if other jobs wait",
			Workers: "workers with a job of the queue, by the name that they write into it, at once: set the option `name` of each Worker to the name of its host (BullMQ 5 and later). " +
				"While a job is active whose worker has no name, nothing is known",
		},
		Workers: workers,
		Discover: func(p backlog.Params) layout.Discovery {
			work := workPatterns(prefixOf(p) + ":")
			// Counters of other programs end like that too.
			id := layout.KeyPattern{Type: "string", Prefix: prefixOf(p) + ":", FixedPrefix: ":", Suffix: ":id"}
			return layout.Discovery{KeyPatterns: append(work, id), AnyPrefix: work}
		},
		Prepare: func(q backlog.Query, _ layout.KeySearch) layout.Reader {
			prefix := prefixOf(q.Params)
			return &queue{prefix: prefix, name: q.Queue, withAge: q.Params.Get("age") == "payload", params: q.Params}
		},
	}
}

func prefixOf(p backlog.Params) string { return cmp.Or(p.Get("prefix"), "bull") }

// workPatterns are the kinds of keys that hold jobs, and the hash meta, which Bull writes
// only when a queue is paused. The hashes of jobs are of the same kind as meta, and the
// settings of a group of BullMQ Pro even have its name.
func workPatterns(prefix string) []layout.KeyPattern {
	return []layout.KeyPattern{
		{Type: "list", Prefix: prefix, FixedPrefix: ":", Suffixes: []string{":wait", ":active", ":paused"}},
		{Type: "zset", Prefix: prefix, FixedPrefix: ":", Suffixes: []string{":delayed", ":prioritized"}},
		{Type: "hash", Prefix: prefix, FixedPrefix: ":", Suffix: ":meta", ExceptContaining: ":groups:"},
	}
}

// A queue asks for the counts and for what meta says. The order is that in which jobs go
// through the queue, so that one on its way is counted twice rather than not at all.
type queue struct {
	prefix, name string
	withAge      bool
	params       backlog.Params
	// leftPaused is since when there have been jobs on the list paused of a queue that is not
	// paused, and unmoved since when there have been due jobs that nothing moves.
	leftPaused, unmoved layout.Streak
}

// key returns the key of a part of the queue.
func (q *queue) key(part string) string { return q.prefix + ":" + q.name + ":" + part }

// JobCounters implements layout.JobCounter: each job that is added takes a number, also one
// with an id of its own.
func (q *queue) JobCounters() []string { return []string{q.key("id")} }

// Commands implements layout.Reader.
func (q *queue) Commands(dst []resp.Command, now time.Time) []resp.Command {
	dst = layout.ScheduleCommands(dst, q.key("delayed"), jobClock, now)
	for _, part := range []string{"wait", "paused"} {
		key := q.key(part)
		// An element is the id of a job and holds no payload.
		dst = append(dst,
			resp.Command{Key: key, KeyType: 'l', Args: []any{"LLEN", key}},
			resp.Command{Key: key, KeyType: 'l', Args: []any{"LINDEX", key, -1}},
		)
		if q.withAge {
			dst = append(dst, resp.Command{Key: key, KeyType: 'l', Args: []any{"LINDEX", key, 0}})
		}
	}
	prioritized, active, meta, flag := q.key("prioritized"), q.key("active"), q.key("meta"), q.key("meta-paused")
	dst = append(dst, resp.Command{Key: prioritized, KeyType: 'z', Args: []any{"ZCARD", prioritized}})
	if q.withAge {
		priority := q.key("priority")
		dst = append(dst,
			resp.Command{Key: prioritized, KeyType: 'z', Args: []any{"ZRANGE", prioritized, 0, 0}},
			// Where Bull, and BullMQ before 4, keep the order of prioritized jobs in wait.
			resp.Command{Key: priority, Args: []any{"ZCARD", priority}},
		)
	}
	for _, set := range groupSets() {
		dst = append(dst, resp.Command{Key: q.key(set), KeyType: 'z', Args: []any{"ZCARD", q.key(set)}})
	}
	return append(dst,
		resp.Command{Key: active, KeyType: 'l', Args: []any{"LLEN", active}},
		resp.Command{Key: meta, KeyType: 'h', Args: []any{"HMGET", meta, "paused", "concurrency", "opts.maxLenEvents", "version"}},
		resp.Command{Key: flag, KeyType: '$', Args: []any{"EXISTS", flag}},
	)
}

// Read implements layout.Reader.
func (q *queue) Read(trips *layout.RoundTrips) (backlog.Reading, error) {
	c := trips.First()
	f := q.facts(c)
	if c.Err() != nil {
		return f.reading, c.Err()
	}
	limit, nothing, err := parseConcurrency(f.concurrency)
	if err != nil {
		return f.reading, err
	}
	f.reading.MaxUseful = limit
	q.pause(&f, nothing, trips.Now())
	if f.groups > 0 {
		if err := q.askGroups(trips, &f); err != nil {
			return f.reading, err
		}
	}
	r := &f.reading
	// Any worker of Bull, and of BullMQ from 2 on, moves due jobs.
	alone := r.Due > 0 && r.Due == r.Backlog() && !r.Paused && f.isOld
	if !alone {
		q.unmoved.Note(false, trips.Now())
	}
	switch {
	case alone:
		err = q.askMover(trips, r)
	case q.withAge && len(f.ids) > 0:
		err = q.askAge(trips, r, f.ids, f.inOrder)
	case r.Backlog()+r.Ignored == 0 && r.NextDue.IsZero() && !f.isBullMQ:
		// What BullMQ writes when a queue is opened, and Bull with its first job.
		return layout.AskExists(trips, *r, fmt.Sprintf("there is no BullMQ queue %q with the prefix %q yet; its producer makes it", q.name, q.prefix), q.key("meta"), q.key("id"))
	}
	return *r, err
}
