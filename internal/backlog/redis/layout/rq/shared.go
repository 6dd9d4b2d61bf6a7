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

// sharedJobs are jobs that are kept for all queues together.
type sharedJobs struct {
	// scheduled are due jobs of rq-scheduler, and limited those that rate limits hold back.
	scheduled, limited []sharedJob
	// moreScheduled and moreLimited say that there are others that are not looked at.
	moreScheduled, moreLimited bool
	// stopped says that the process is missing that would move what is scheduled.
	stopped bool
}

// askShared adds the jobs of the queue among those that are kept for all queues together:
// those of rq-scheduler that are due, and, while there is nothing on the queue, those that
// rate limits hold back (RQ 3), which only a worker puts on the queue.
// https://github.com/rq/rq/blob/master/rq/rate_limit.py
func (q *queue) askShared(trips *layout.RoundTrips, r *backlog.Reading, s summary) error {
	limits := s.limited
	if r.Backlog() > 0 {
		// What a rate limit holds back waits for what is there.
		limits = nil
	}
	if s.outside == 0 && len(limits) == 0 {
		return nil
	}
	jobs, err := q.askSharedJobs(trips, s.outside, limits)
	if err != nil {
		return err
	}
	return q.askOrigins(trips, r, jobs)
}

// askSharedJobs asks for the jobs of all queues: those of rq-scheduler, if some are due
// outside, and those that the rate limits of these names hold back.
func (q *queue) askSharedJobs(trips *layout.RoundTrips, outside int64, limits []string) (sharedJobs, error) {
	var commands []resp.Command
	if outside > 0 {
		commands = append(commands,
			resp.Command{Key: outsideKey, Args: []any{"ZRANGE", outsideKey, 0, maxSharedJobs - 1, "WITHSCORES"}},
			resp.Command{Key: outsideLock, Args: []any{"EXISTS", outsideLock}},
			resp.Command{Key: outsideOldLock, Args: []any{"EXISTS", outsideOldLock}},
		)
	}
	for _, limit := range limits {
		key := q.limits + ":" + limit + ":rate_limited"
		commands = append(commands, resp.Command{Key: key, KeyType: 'z', Args: []any{"ZRANGE", key, 0, maxSharedJobs - 1}})
	}
	c := trips.Ask(commands...)
	jobs := sharedJobs{moreScheduled: outside > maxSharedJobs, moreLimited: len(limits) >= maxLimits}
	if outside > 0 {
		jobs.takeScheduled(c, trips.Now())
	}
	for range limits {
		for _, id := range c.Strings(-1) {
			jobs.limited = append(jobs.limited, sharedJob{id: id})
		}
	}
	if len(jobs.limited) > maxSharedJobs {
		jobs.limited, jobs.moreLimited = jobs.limited[:maxSharedJobs], true
	}
	return jobs, c.Err()
}

// takeScheduled takes the jobs of rq-scheduler, and whether it runs.
func (j *sharedJobs) takeScheduled(c *resp.Decoder, now time.Time) {
	members := c.Strings(-1)
	lock, old := c.OptionalCount(), c.OptionalCount()
	j.stopped = lock.Known && lock.N+old.N == 0
	for i := 0; i+1 < len(members); i += 2 {
		at, err := resp.Score(members[i+1])
		if err != nil {
			c.Fail(err)
			return
		}
		if due := layout.Seconds.Time(at); !due.After(now) {
			j.scheduled = append(j.scheduled, sharedJob{id: members[i], since: due})
		}
	}
}

// askOrigins asks which of the jobs are of this queue, and counts them.
func (q *queue) askOrigins(trips *layout.RoundTrips, r *backlog.Reading, jobs sharedJobs) error {
	var commands []resp.Command
	for _, job := range slices.Concat(jobs.scheduled, jobs.limited) {
		key := q.jobs + job.id
		commands = append(commands, resp.Command{Key: key, Args: []any{"HGET", key, "origin"}})
	}
	c := trips.Ask(commands...)
	scheduled, hidden := q.own(c, jobs.scheduled)
	limited, hiddenLimited := q.own(c, jobs.limited)
	if c.Err() != nil {
		return c.Err()
	}
	jobs.moreScheduled, jobs.moreLimited = jobs.moreScheduled || hidden, jobs.moreLimited || hiddenLimited
	q.countScheduled(r, jobs, scheduled, trips.Now())
	countLimited(r, int64(len(limited)), jobs.moreLimited)
	return nil
}

// own takes the queues of jobs, and returns those that are of this one. It reports
// whether the server denies to look at some.
func (q *queue) own(c *resp.Decoder, jobs []sharedJob) (own []sharedJob, hidden bool) {
	for _, job := range jobs {
		origin, allowed := c.OptionalText()
		hidden = hidden || !allowed
		if origin == q.registry.Queue {
			own = append(own, job)
		}
	}
	return own, hidden
}

// countScheduled counts the due jobs of rq-scheduler. Those in own are of this queue. Of some
// the queue may be unknown: as long as nothing else is there, one of them counts.
func (q *queue) countScheduled(r *backlog.Reading, jobs sharedJobs, own []sharedJob, now time.Time) {
	if jobs.moreScheduled {
		r.Quality = max(r.Quality, backlog.LowerBound)
		r.AddWarning("jobs of rq-scheduler are due in " + outsideKey + ", and the queue of some is not known")
		if r.Backlog()+int64(len(own)) == 0 && len(jobs.scheduled) > 0 {
			own = jobs.scheduled[len(jobs.scheduled)-1:]
		}
	}
	o := layout.NewOrphans(q.params)
	overdue := func(job sharedJob, by time.Duration) bool {
		return jobs.stopped && now.Sub(job.since) >= max(by, schedulerGrace)
	}
	seen := q.outside.Note(slices.ContainsFunc(own, func(job sharedJob) bool { return overdue(job, 0) }), now)
	for _, job := range own {
		switch {
		case !overdue(job, 0):
			r.Due++
		case overdue(job, q.bound):
			r.Due += o.Add(1, seen, now)
		default:
			r.Due += o.Add(1, now, now)
		}
	}
	o.Mark(r, "work of rq-scheduler has been due for minutes, and no rqscheduler runs: there is no key "+outsideLock)
}

// countLimited counts the jobs of the queue that rate limits hold back: n, or more if the
// queue of some is not known.
func countLimited(r *backlog.Reading, n int64, more bool) {
	if n > 0 && r.Backlog() == 0 {
		r.Due, r.Quality = n, max(r.Quality, backlog.UpperBound)
		r.AddWarning("nothing is on the queue but jobs that a rate limit of RQ holds back, which a worker puts on the queue when the limit allows")
	}
	if more {
		r.Quality = max(r.Quality, backlog.LowerBound)
		r.AddWarning("rate limits of RQ hold jobs back, and the queue of some is not known")
		if r.Backlog() == 0 {
			r.Due = 1
		}
	}
}
