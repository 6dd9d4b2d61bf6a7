package rq

import (
	"slices"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// Keys of rq-scheduler, a package of its own that keeps scheduled jobs of all queues in
// one sorted set. Its process puts them on their queues, and holds a lock while it runs.
// https://github.com/rq/rq-scheduler/blob/master/rq_scheduler/scheduler.py
const (
	outsideKey  = "rq:scheduler:scheduled_jobs"
	outsideLock = "rq:scheduler_lock"
	// outsideOldLock is the lock up to rq-scheduler 0.9.
	outsideOldLock = "rq:scheduler"
)

const (
	// maxSharedJobs is of how many jobs that are kept for all queues together the queue is
	// looked up, in each place where such jobs are.
	maxSharedJobs = 100
	// maxLimits is how many rate limits are looked at.
	maxLimits = 20
)

// A sharedJob is a job that is kept where jobs of all queues are.
type sharedJob struct {
	id string
	// since is when it fell due; zero if it has no time.
	since time.Time
}

// A sharedJobsStep asks for jobs that are kept for all queues together: those of
// rq-scheduler that are due, and, while there is nothing on the queue, those that rate
// limits hold back (RQ 3), which only a worker puts on the queue.
// https://github.com/rq/rq/blob/master/rq/rate_limit.py
type sharedJobsStep struct {
	partialReading
}

// Commands implements layout.Step.
func (s *sharedJobsStep) Commands(dst []resp.Command, _ time.Time) []resp.Command {
	if s.outside > 0 {
		dst = append(dst,
			resp.Command{Key: outsideKey, Args: []any{"ZRANGE", outsideKey, 0, maxSharedJobs - 1, "WITHSCORES"}},
			resp.Command{Key: outsideLock, Args: []any{"EXISTS", outsideLock}},
			resp.Command{Key: outsideOldLock, Args: []any{"EXISTS", outsideOldLock}},
		)
	}
	for _, limit := range s.limited {
		key := s.limits + ":" + limit + ":rate_limited"
		dst = append(dst, resp.Command{Key: key, KeyType: 'z', Args: []any{"ZRANGE", key, 0, maxSharedJobs - 1}})
	}
	return dst
}

// Outcome implements layout.Step.
func (s *sharedJobsStep) Outcome(replies []resp.Reply, now time.Time) layout.Outcome {
	c := resp.NewDecoder(replies)
	next := &originsStep{partialReading: s.partialReading, moreLimited: len(s.limited) >= maxLimits}
	if s.outside > 0 {
		next.addScheduled(c, now)
	}
	for range s.limited {
		for _, id := range c.Strings(-1) {
			next.limited = append(next.limited, sharedJob{id: id})
		}
	}
	if c.Err() != nil {
		return layout.Fail(c.Err())
	}
	if len(next.limited) > maxSharedJobs {
		next.limited, next.moreLimited = next.limited[:maxSharedJobs], true
	}
	return layout.Outcome{Next: next}
}

// An originsStep asks which of the strangers are jobs of the queue.
type originsStep struct {
	partialReading
	// scheduled are due jobs of rq-scheduler, and limited those that rate limits hold back.
	scheduled, limited []sharedJob
	// moreScheduled and moreLimited say that there are others that are not looked at.
	moreScheduled, moreLimited bool
	// stopped says that the process is missing that would move what is scheduled.
	stopped bool
}

// addScheduled takes the jobs of rq-scheduler, and whether it runs.
func (s *originsStep) addScheduled(c *resp.Decoder, now time.Time) {
	members := c.Strings(-1)
	lock, old := c.OptionalCount(), c.OptionalCount()
	s.stopped = lock.Known && lock.N+old.N == 0
	for i := 0; i+1 < len(members); i += 2 {
		at, err := resp.Score(members[i+1])
		if err != nil {
			c.Fail(err)
			return
		}
		if due := layout.Seconds.Time(at); !due.After(now) {
			s.scheduled = append(s.scheduled, sharedJob{id: members[i], since: due})
		}
	}
	s.moreScheduled = s.outside > maxSharedJobs
}

// Commands implements layout.Step.
func (s *originsStep) Commands(dst []resp.Command, _ time.Time) []resp.Command {
	for _, job := range slices.Concat(s.scheduled, s.limited) {
		key := s.jobs + job.id
		dst = append(dst, resp.Command{Key: key, Args: []any{"HGET", key, "origin"}})
	}
	return dst
}

// Outcome implements layout.Step.
func (s *originsStep) Outcome(replies []resp.Reply, now time.Time) layout.Outcome {
	c := resp.NewDecoder(replies)
	scheduled, hidden := s.own(c, s.scheduled)
	limited, hiddenLimited := s.own(c, s.limited)
	if c.Err() != nil {
		return layout.Fail(c.Err())
	}
	s.countScheduled(scheduled, hidden || s.moreScheduled, now)
	if n := int64(len(limited)); n > 0 && s.Backlog() == 0 {
		s.Due, s.Quality = n, max(s.Quality, backlog.UpperBound)
		s.AddWarning("nothing is on the queue but jobs that a rate limit of RQ holds back, which a worker puts on the queue when the limit allows")
	}
	if hiddenLimited || s.moreLimited {
		s.Quality = max(s.Quality, backlog.LowerBound)
		s.AddWarning("rate limits of RQ hold jobs back, and the queue of some is not known")
		if s.Backlog() == 0 {
			s.Due = 1
		}
	}
	return s.after()
}

// own takes the queues of jobs, and returns those that are of this one. It reports
// whether the server denies to look at some.
func (s *originsStep) own(c *resp.Decoder, jobs []sharedJob) (own []sharedJob, hidden bool) {
	for _, job := range jobs {
		origin, allowed := c.OptionalText()
		hidden = hidden || !allowed
		if origin == s.registry.Queue {
			own = append(own, job)
		}
	}
	return own, hidden
}

// countScheduled counts the due jobs of rq-scheduler. Of some the queue may be unknown:
// as long as nothing else is there, one of them counts.
func (s *originsStep) countScheduled(jobs []sharedJob, unknown bool, now time.Time) {
	if unknown {
		s.Quality = max(s.Quality, backlog.LowerBound)
		s.AddWarning("jobs of rq-scheduler are due in " + outsideKey + ", and the queue of some is not known")
		if s.Backlog()+int64(len(jobs)) == 0 && len(s.scheduled) > 0 {
			jobs = s.scheduled[len(s.scheduled)-1:]
		}
	}
	o := layout.NewOrphans(s.params)
	overdue := func(job sharedJob, by time.Duration) bool {
		return s.stopped && now.Sub(job.since) >= max(by, schedulerGrace)
	}
	seen := s.queueStep.outside.Note(slices.ContainsFunc(jobs, func(job sharedJob) bool { return overdue(job, 0) }), now)
	for _, job := range jobs {
		switch {
		case !overdue(job, 0):
			s.Due++
		case overdue(job, s.bound):
			s.Due += o.Add(1, seen, now)
		default:
			s.Due += o.Add(1, now, now)
		}
	}
	o.Mark(&s.Reading, "work of rq-scheduler has been due for minutes, and no rqscheduler runs: there is no key "+outsideLock)
}
