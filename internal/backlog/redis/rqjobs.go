package redis

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// An rqTakenStep tells apart the jobs that workers have taken. A worker moves a job to
// the intermediate list, adds it to those that run, and only then takes it off the list:
// in between, which a worker that is killed makes last for minutes, it is in both.
// https://github.com/rq/rq/blob/master/rq/worker/base.py, prepare_job_execution
type rqTakenStep struct {
	*rqStep
	// reading counts those in both twice.
	reading backlog.Reading
	// taken is the length of the intermediate list.
	taken int64
	// first and due are those of after.
	first string
	due   time.Time
}

func (s *rqTakenStep) commands(dst []command, _ time.Time) []command {
	// From the end that grows, so that none is overlooked while workers take the first
	// ones off.
	for i := range s.taken {
		dst = append(dst, command{key: s.rqStep.taken, args: []any{"LINDEX", s.rqStep.taken, -1 - i}})
	}
	return append(dst, command{key: s.wip, args: []any{"ZRANGE", s.wip, 0, rqRunning - 1}})
}

func (s *rqTakenStep) outcome(replies []reply, _ time.Time) outcome {
	if err := replies[0].err; err != nil && errors.Is(reason(err), backlog.ErrDenied) {
		s.reading.Quality = backlog.UpperBound
		return s.after(s.reading, s.first, s.due)
	}
	c := counts{replies: replies}
	starting := make(map[string]bool)
	for range s.taken {
		if job, found := c.text(); found {
			starting[job] = true
		}
	}
	running := c.texts(-1)
	if c.err != nil {
		return fail(c.err)
	}
	for _, execution := range running {
		// The job, a colon and which time it runs.
		delete(starting, execution[:max(0, strings.LastIndexByte(execution, ':'))])
	}
	s.reading.InFlight = backlog.Exactly(int64(len(starting) + len(running)))
	return s.after(s.reading, s.first, s.due)
}

// An rqAgeStep asks when the first job on the queue was put there.
type rqAgeStep struct {
	key     string
	reading backlog.Reading
	// due is since when the first scheduled job has been due; zero if none is.
	due time.Time
}

func (s *rqAgeStep) commands(dst []command, _ time.Time) []command {
	return append(dst, command{key: s.key, args: []any{"HGET", s.key, "enqueued_at"}})
}

func (s *rqAgeStep) outcome(replies []reply, _ time.Time) outcome {
	c := counts{replies: replies}
	at, found := c.text()
	if c.err != nil {
		return fail(c.err)
	}
	if !found {
		// The job was deleted; a worker will throw its id away.
		return done(s.reading)
	}
	since, err := time.Parse(time.RFC3339Nano, at)
	if err != nil {
		return fail(fmt.Errorf("%w: enqueued_at of a job is no time: %w", errReply, err))
	}
	s.reading.Oldest = backlog.Age{Since: earlier(since, s.due), Kind: backlog.AgeExact}
	return done(s.reading)
}
