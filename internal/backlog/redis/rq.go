package redis

import (
	"cmp"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

const (
	// rqIntermediate is among how many jobs that a worker has taken from the queue those
	// are looked for that it runs, and rqRunning is how many of these are looked at.
	rqIntermediate, rqRunning = 100, 1000
)

// rqLayout is a queue of RQ (Redis Queue). The keys are those of RQ 2 and 3:
// https://github.com/rq/rq/blob/master/rq/registry.py
func rqLayout() layout {
	return layout{
		Layout: backlog.Layout{
			Name: "rq",
			Summary: "A queue of RQ (Redis Queue, Python). Jobs with a time or a retry interval are moved to the queue by a worker alone, so here they count as due when their time has come, worker or none. " +
				"It is paused while all workers are suspended (rq suspend). What a rate limit holds back counts when RQ puts it on the queue. " +
				"Keys: PREFIX:queue:*, PREFIX:queues, PREFIX:scheduled:*, PREFIX:ready:*, PREFIX:wip:*, PREFIX:suspended.",
			Queue:    "name of the queue",
			Patterns: registered("set PREFIX:queues"),
			Parameters: []backlog.Parameter{
				{Name: "prefix", Kind: backlog.KindText, Default: "rq", Doc: "RQ_KEY_PREFIX of the application."},
				{Name: "age", Kind: backlog.KindChoice, Allowed: []string{"none", "payload"}, Default: "none", Doc: "With payload the time at which the first job was enqueued is read from the job (its field enqueued_at alone). It needs the rights +lindex +hget, and to read PREFIX:job:*."},
			},
			Ready:    "the jobs on the queue",
			Due:      "scheduled jobs and retries whose time has come, and jobs whose dependencies are done and that are not on the queue yet",
			InFlight: "the jobs that workers have taken, also those of a worker that was killed, until RQ gives them up; of more than 1,000, or without the right +lindex, those that are about to start may count twice",
			Oldest:   "exact while nothing waits but scheduled work that is due; with age payload exact, the time at which the first job on the queue was enqueued; else a lower bound or unknown",
		},
		discover: func(p backlog.Params) discovery { return discovery{registry: rqRegistry(rqPrefix(p), "")} },
		prepare: func(q backlog.Query, _ keySearch) step {
			prefix := rqPrefix(q.Params)
			list := prefix + ":queue:" + q.Queue
			return &rqStep{
				scheduled: prefix + ":scheduled:" + q.Queue, dependents: prefix + ":ready:" + q.Queue,
				list: list, taken: list + ":intermediate", wip: prefix + ":wip:" + q.Queue, suspended: prefix + ":suspended",
				jobs:     prefix + ":job:",
				payload:  q.Params.Get("age") == "payload",
				registry: *rqRegistry(prefix, q.Queue),
			}
		},
	}
}

func rqPrefix(p backlog.Params) string { return cmp.Or(p.Get("prefix"), "rq") }

func rqRegistry(prefix, queue string) *registry {
	list := prefix + ":queue:"
	return &registry{
		framework: "RQ", sets: []string{prefix + ":queues"}, member: list + queue, queue: queue,
		name: func(member string) string { return strings.TrimPrefix(member, list) },
	}
}

// An rqStep asks for the counts of a queue, in the order in which a job passes.
type rqStep struct {
	// These are keys.
	scheduled, dependents, list, taken, wip, suspended string
	// jobs is what the keys of jobs begin with.
	jobs     string
	payload  bool
	registry registry
}

func (s *rqStep) commands(dst []command, now time.Time) []command {
	dst = delayed(dst, s.scheduled, clockSeconds, now)
	dst = append(dst,
		command{key: s.dependents, class: 'z', args: []any{"ZCARD", s.dependents}},
		command{key: s.list, class: 'l', args: []any{"LLEN", s.list}},
		command{key: s.taken, class: 'l', args: []any{"LLEN", s.taken}},
		command{key: s.wip, class: 'z', args: []any{"ZCARD", s.wip}},
		command{key: s.suspended, class: '$', args: []any{"EXISTS", s.suspended}},
	)
	if s.payload {
		dst = append(dst, command{key: s.list, class: 'l', args: []any{"LINDEX", s.list, 0}})
	}
	return dst
}

func (s *rqStep) outcome(replies []reply, _ time.Time) outcome {
	c := counts{replies: replies}
	scheduled := c.delayed(clockSeconds)
	dependents, ready, taken, wip, suspended := c.number(), c.number(), c.number(), c.number(), c.number()
	var first string
	if s.payload {
		first, _ = c.text()
	}
	if c.err != nil {
		return fail(c.err)
	}
	reading := backlog.Reading{
		Ready:    ready,
		Due:      scheduled.due + dependents,
		InFlight: backlog.Exactly(taken + wip),
		NextDue:  scheduled.next,
		Oldest:   scheduled.age(ready + dependents),
		Paused:   suspended > 0,
	}
	switch {
	case taken == 0 || wip == 0:
		return s.after(reading, first, scheduled.since)
	case taken > rqIntermediate || wip > rqRunning:
		reading.Quality = backlog.UpperBound
		return s.after(reading, first, scheduled.since)
	default:
		return outcome{next: &rqTakenStep{rqStep: s, reading: reading, taken: taken, first: first, due: scheduled.since}}
	}
}

// after returns what follows a reading whose counts are known. first is the id of the
// first job on the queue, and due since when the first scheduled one has been due.
func (s *rqStep) after(reading backlog.Reading, first string, due time.Time) outcome {
	switch {
	case reading.Backlog() == 0 && reading.NextDue.IsZero():
		return s.registry.ask(reading)
	case first != "":
		return outcome{next: &rqAgeStep{key: s.jobs + first, reading: reading, due: due}}
	default:
		return done(reading)
	}
}
