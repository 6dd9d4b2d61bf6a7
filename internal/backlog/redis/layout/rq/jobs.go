package rq

import (
	"fmt"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// A partialReading is a reading of a queue of RQ under way.
type partialReading struct {
	backlog.Reading
	*queueStep
	// first is the id of the first job on the queue; "" if its age is not wanted.
	first string
	// due is since when the first scheduled job that counts has been due; zero if none is.
	due time.Time
	// outside is how many jobs of rq-scheduler are due, and limited are the names of rate
	// limits, of all queues.
	outside int64
	limited []string
	// hidden says that the server does not allow to read whether there are any.
	hidden bool
	// claimed and wip are the numbers of jobs on the intermediate list, and of those that run.
	claimed, wip int64
	// unscheduled and abandoned are orphaned jobs, and forgotten is how many of the
	// abandoned ones do not count.
	unscheduled, abandoned *layout.Orphans
	forgotten              int64
}

// noteScheduled notes the scheduled jobs that have been due for too long while there is
// no scheduler. Those that are old have been due for longer than they may count. They
// stop counting only when the scaler has seen that for as long: else it might never wake
// the worker whose scheduler would move them.
func (r *partialReading) noteScheduled(overdue, old int64, now time.Time) {
	r.unscheduled = layout.NewOrphans(r.params)
	since := r.queueStep.unscheduled.Note(overdue > 0, now)
	ignored := old - r.unscheduled.Add(old, since, now)
	r.unscheduled.Add(overdue-old, now, now)
	r.Due -= ignored
	if ignored > 0 {
		r.due, r.Oldest = time.Time{}, backlog.Age{}
	}
}

// noteExpired notes the running jobs that RQ should have given up long ago.
func (r *partialReading) noteExpired(expired int64, now time.Time) {
	r.abandoned = layout.NewOrphans(r.params)
	since := r.queueStep.abandoned.Note(expired > 0, now)
	r.forgotten = expired - r.abandoned.Add(expired, since, now)
}

// next returns what follows the counts: if need be, to distinguish the jobs that workers have
// taken.
func (r partialReading) next() layout.Outcome {
	switch {
	case r.claimed == 0 || r.wip == 0:
		return r.jobsClaimed(r.claimed+r.wip, backlog.Exact)
	case r.claimed > maxIntermediate || r.wip > maxRunning:
		return r.jobsClaimed(r.claimed+r.wip, backlog.UpperBound)
	default:
		return layout.Outcome{Next: &claimedStep{r}}
	}
}

// jobsClaimed completes the counts by the jobs that workers have taken.
func (r partialReading) jobsClaimed(n int64, quality backlog.Quality) layout.Outcome {
	r.InFlight, r.Quality = backlog.Exactly(max(0, n-r.forgotten)), max(r.Quality, quality)
	if r.Backlog() > 0 {
		// What a rate limit holds back waits for what is there.
		r.limited = nil
	}
	if r.outside > 0 || len(r.limited) > 0 {
		return layout.Outcome{Next: &sharedJobsStep{r}}
	}
	return r.after()
}

// after returns what follows when all jobs of the queue itself are known.
func (r partialReading) after() layout.Outcome {
	ignored := r.Ignored + r.forgotten + r.unscheduled.Ignored
	if r.hidden && r.Backlog() == 0 {
		r.Quality = max(r.Quality, backlog.LowerBound)
		r.AddWarning("the server does not allow access to " + outsideKey + " or " + r.limits + "-keys, so jobs of rq-scheduler or of rate limits are not visible")
	}
	switch {
	case r.Backlog() == 0 && r.NextDue.IsZero() && ignored == 0:
		return r.registry.Ask(r.Reading)
	case r.first != "":
		return layout.Outcome{Next: &ageStep{r}}
	default:
		return r.done()
	}
}

// done is the outcome of a reading that is complete.
func (r partialReading) done() layout.Outcome {
	r.unscheduled.Mark(&r.Reading, fmt.Sprintf("scheduled work has been due for minutes, and no worker with a scheduler (rq worker --with-scheduler) holds the key %q", r.lock))
	r.abandoned.Mark(&r.Reading, fmt.Sprintf("running work in %q expired long ago, and no worker has given it up", r.queueStep.wip))
	return layout.Done(r.Reading)
}

// A claimedStep distinguishes the jobs that workers have taken. A worker moves a job to
// the intermediate list, adds it to those that run, and only then takes it off the list:
// in between, which a worker that is killed makes last for minutes, it is in both.
// https://github.com/rq/rq/blob/master/rq/worker/base.py, prepare_job_execution
type claimedStep struct{ partialReading }

// Commands implements layout.Step.
func (s *claimedStep) Commands(dst []resp.Command, _ time.Time) []resp.Command {
	// From the end that grows, so that none is overlooked while workers take the first
	// ones off.
	for i := range s.claimed {
		dst = append(dst, resp.Command{Key: s.intermediate, Args: []any{"LINDEX", s.intermediate, -1 - i}})
	}
	return append(dst, resp.Command{Key: s.queueStep.wip, Args: []any{"ZRANGE", s.queueStep.wip, 0, maxRunning - 1}})
}

// Outcome implements layout.Step.
func (s *claimedStep) Outcome(replies []resp.Reply, _ time.Time) layout.Outcome {
	if replies[0].IsDenied() {
		return s.jobsClaimed(s.claimed+s.wip, backlog.UpperBound)
	}
	c := resp.NewDecoder(replies)
	starting := make(map[string]bool)
	for range s.claimed {
		if job, found := c.Text(); found {
			starting[job] = true
		}
	}
	running := c.Strings(-1)
	if c.Err() != nil {
		return layout.Fail(c.Err())
	}
	for _, execution := range running {
		if starting[execution] {
			// RQ 1 has the job alone.
			delete(starting, execution)
			continue
		}
		// The job, a colon and which time it runs.
		delete(starting, execution[:max(0, strings.LastIndexByte(execution, ':'))])
	}
	return s.jobsClaimed(int64(len(starting)+len(running)), backlog.Exact)
}

// An ageStep asks when the first job on the queue was put there.
type ageStep struct{ partialReading }

// Commands implements layout.Step.
func (s *ageStep) Commands(dst []resp.Command, _ time.Time) []resp.Command {
	key := s.jobs + s.first
	return append(dst, resp.Command{Key: key, Args: []any{"HGET", key, "enqueued_at"}})
}

// Outcome implements layout.Step.
func (s *ageStep) Outcome(replies []resp.Reply, _ time.Time) layout.Outcome {
	c := resp.NewDecoder(replies)
	at, found := c.Text()
	if c.Err() != nil {
		return layout.Fail(c.Err())
	}
	if !found {
		// The job was deleted; a worker will throw its id away.
		return s.done()
	}
	since, err := time.Parse(time.RFC3339Nano, at)
	if err != nil {
		return layout.Fail(fmt.Errorf("%w: enqueued_at of a job is no time: %w", resp.ErrReply, err))
	}
	s.Oldest = backlog.Age{Since: layout.Earlier(since, s.due), Kind: backlog.AgeExact}
	return s.done()
}
