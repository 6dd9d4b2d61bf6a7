package redis

import (
	"fmt"
	"slices"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// Keys of rq-scheduler, a package of its own that keeps scheduled jobs of all queues in
// one sorted set. Its process puts them on their queues, and holds a lock while it runs.
// https://github.com/rq/rq-scheduler/blob/master/rq_scheduler/scheduler.py
const (
	rqOutside     = "rq:scheduler:scheduled_jobs"
	rqOutsideLock = "rq:scheduler_lock"
	// rqOutsideOldLock is the lock up to rq-scheduler 0.9.
	rqOutsideOldLock = "rq:scheduler"
)

const (
	// rqStrangers is at how many jobs that are kept for several queues together it is
	// looked at which queue each is for.
	rqStrangers = 100
	// rqLimits is how many rate limits are looked at.
	rqLimits = 20
)

// An rqOutsideStep asks for the jobs of rq-scheduler that are due.
type rqOutsideStep struct{ rqReading }

func (s *rqOutsideStep) commands(dst []command, _ time.Time) []command {
	return append(dst,
		command{key: rqOutside, args: []any{"ZRANGE", rqOutside, 0, rqStrangers - 1, "WITHSCORES"}},
		command{key: rqOutsideLock, args: []any{"EXISTS", rqOutsideLock}},
		command{key: rqOutsideOldLock, args: []any{"EXISTS", rqOutsideOldLock}},
	)
}

func (s *rqOutsideStep) outcome(replies []reply, now time.Time) outcome {
	c := counts{replies: replies}
	members := c.texts(-1)
	lock, old := c.optionalCount(), c.optionalCount()
	if len(members)%2 != 0 {
		c.fault(fmt.Errorf("%w: %d elements where members and scores belong", errReply, len(members)))
	}
	if c.err != nil {
		return fail(c.err)
	}
	next := &rqOriginsStep{rqReading: s.rqReading, settle: (*rqOriginsStep).scheduled, unscheduled: lock.Known && lock.N+old.N == 0}
	for i := 0; i+1 < len(members); i += 2 {
		at, err := score(members[i+1])
		if err != nil {
			return fail(err)
		}
		if due := clockSeconds.time(at); !due.After(now) {
			next.strangers = append(next.strangers, stranger{id: members[i], since: due})
		}
	}
	next.more = int64(len(next.strangers)) < s.outside && len(next.strangers) >= rqStrangers
	return outcome{next: next}
}

// A stranger is a job that is kept where jobs of all queues are.
type stranger struct {
	id    string
	since time.Time
}

// An rqOriginsStep asks which of the strangers are jobs of the queue.
type rqOriginsStep struct {
	rqReading
	strangers []stranger
	// more says that there are others that are not looked at.
	more bool
	// unscheduled says that the process is missing that would move them.
	unscheduled bool
	// settle completes the reading by the strangers that are of the queue, or whose queue
	// is not known.
	settle func(s *rqOriginsStep, own []stranger, unknown bool, now time.Time) outcome
}

func (s *rqOriginsStep) commands(dst []command, _ time.Time) []command {
	for _, job := range s.strangers {
		key := s.jobs + job.id
		dst = append(dst, command{key: key, args: []any{"HGET", key, "origin"}})
	}
	return dst
}

func (s *rqOriginsStep) outcome(replies []reply, now time.Time) outcome {
	c := counts{replies: replies}
	var own []stranger
	unknown := s.more
	for _, job := range s.strangers {
		origin, allowed := c.optionalText()
		if !allowed {
			unknown = true
		}
		if origin == s.registry.queue {
			own = append(own, job)
		}
	}
	if c.err != nil {
		return fail(c.err)
	}
	return s.settle(s, own, unknown, now)
}

// scheduled adds due jobs of rq-scheduler.
func (s *rqOriginsStep) scheduled(own []stranger, unknown bool, now time.Time) outcome {
	o := newOrphans(s.params)
	overdue := func(job stranger, by time.Duration) bool { return now.Sub(job.since) >= by }
	seen := s.rqStep.outside.note(s.unscheduled && slices.ContainsFunc(own, func(job stranger) bool { return overdue(job, rqSchedulerGrace) }), now)
	for _, job := range own {
		switch {
		case !s.unscheduled || !overdue(job, rqSchedulerGrace):
			s.Due++
		case overdue(job, s.bound):
			s.Due += o.add(1, seen, now)
		default:
			s.Due += o.add(1, now, now)
		}
	}
	if unknown {
		s.unknown("jobs of rq-scheduler are due in " + rqOutside + ", and the queue of some is not known")
	}
	o.mark(&s.Reading, "jobs of rq-scheduler have been due for minutes, and no rqscheduler runs: there is no key "+rqOutsideLock)
	return s.after()
}

// unknown marks a reading next to which there is work that may be of this queue.
func (r *rqReading) unknown(why string) {
	r.Quality = max(r.Quality, backlog.LowerBound)
	if r.Backlog() == 0 {
		r.Due = 1
	}
	r.AddWarning(why)
}

// An rqEmptyStep looks at what may be there of a queue in which there is nothing: jobs
// that a rate limit holds back (RQ 3), which only a worker puts on the queue, and the
// queue itself in RQ's registry.
// https://github.com/rq/rq/blob/master/rq/rate_limit.py
type rqEmptyStep struct{ rqReading }

func (s *rqEmptyStep) commands(dst []command, now time.Time) []command {
	limits := s.limits + "-keys"
	dst = append(dst, command{key: limits, args: []any{"SRANDMEMBER", limits, rqLimits}})
	return (&registryStep{registry: &s.registry}).commands(dst, now)
}

func (s *rqEmptyStep) outcome(replies []reply, now time.Time) outcome {
	c := counts{replies: replies}
	limits, _ := c.optionalTexts()
	if c.err != nil {
		return fail(c.err)
	}
	if len(limits) > 0 {
		return outcome{next: &rqLimitsStep{rqReading: s.rqReading, limits: limits}}
	}
	if !s.NextDue.IsZero() || s.Ignored+s.forgotten+s.rqReading.unscheduled.ignored > 0 {
		return s.done()
	}
	return (&registryStep{registry: &s.registry, reading: s.Reading}).outcome(c.replies, now)
}

// An rqLimitsStep asks for the jobs that rate limits hold back, of all queues.
type rqLimitsStep struct {
	rqReading
	limits []string
}

func (s *rqLimitsStep) commands(dst []command, _ time.Time) []command {
	for _, limit := range s.limits {
		key := s.rqStep.limits + ":" + limit + ":rate_limited"
		dst = append(dst, command{key: key, class: 'z', args: []any{"ZRANGE", key, 0, rqStrangers - 1}})
	}
	return dst
}

func (s *rqLimitsStep) outcome(replies []reply, _ time.Time) outcome {
	c := counts{replies: replies}
	next := &rqOriginsStep{rqReading: s.rqReading, settle: (*rqOriginsStep).limited, more: len(s.limits) >= rqLimits}
	for range s.limits {
		for _, id := range c.texts(-1) {
			next.strangers = append(next.strangers, stranger{id: id})
		}
	}
	if c.err != nil {
		return fail(c.err)
	}
	if len(next.strangers) > rqStrangers {
		next.strangers, next.more = next.strangers[:rqStrangers], true
	}
	return outcome{next: next}
}

// limited adds the jobs that rate limits hold back. More of them than a worker may put on
// the queue at once.
func (s *rqOriginsStep) limited(own []stranger, unknown bool, _ time.Time) outcome {
	s.Due = int64(len(own))
	if len(own) > 0 {
		s.Quality = max(s.Quality, backlog.UpperBound)
		s.AddWarning("nothing is on the queue but jobs that a rate limit of RQ holds back, which a worker puts on the queue when the limit allows")
	}
	if unknown {
		s.unknown("rate limits of RQ hold jobs back, and the queue of some is not known")
	}
	return s.done()
}
