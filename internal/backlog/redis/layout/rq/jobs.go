package rq

import (
	"fmt"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// askTaken returns how many jobs workers have taken. A worker moves a job to the
// intermediate list, adds it to those that run, and only then takes it off the list: in
// between, which a worker that is killed makes last for minutes, it is in both. So the jobs
// are looked at if both have some.
// https://github.com/rq/rq/blob/master/rq/worker/base.py, prepare_job_execution
func (q *queue) askTaken(trips *layout.RoundTrips, intermediate, wip int64) (int64, backlog.Quality, error) {
	switch {
	case intermediate == 0 || wip == 0:
		return intermediate + wip, backlog.Exact, nil
	case intermediate > maxIntermediate || wip > maxRunning:
		return intermediate + wip, backlog.UpperBound, nil
	}
	var commands []resp.Command
	// From the end that grows, so that none is overlooked while workers take the first
	// ones off.
	for i := range intermediate {
		commands = append(commands, resp.Command{Key: q.intermediate, Args: []any{"LINDEX", q.intermediate, -1 - i}})
	}
	commands = append(commands, resp.Command{Key: q.wip, Args: []any{"ZRANGE", q.wip, 0, maxRunning - 1}})
	c := trips.Ask(commands...)
	if !c.Allowed() {
		return intermediate + wip, backlog.UpperBound, nil
	}
	starting := make(map[string]bool)
	for range intermediate {
		if job, found := c.Text(); found {
			starting[job] = true
		}
	}
	running := c.Strings(-1)
	if c.Err() != nil {
		return 0, backlog.Exact, c.Err()
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
	return int64(len(starting) + len(running)), backlog.Exact, nil
}

// askAge asks when the first job on the queue was put there. A scheduled job has been due
// since the moment due; zero if none is.
func (q *queue) askAge(trips *layout.RoundTrips, r *backlog.Reading, first string, due time.Time) error {
	key := q.jobs + first
	c := trips.Ask(resp.Command{Key: key, Args: []any{"HGET", key, "enqueued_at"}})
	at, found := c.Text()
	if c.Err() != nil {
		return c.Err()
	}
	if !found {
		// The job was deleted; a worker will throw its id away.
		return nil
	}
	since, err := time.Parse(time.RFC3339Nano, at)
	if err != nil {
		return fmt.Errorf("%w: enqueued_at of a job is no time: %w", resp.ErrReply, err)
	}
	r.Oldest = backlog.Age{Since: layout.Earlier(since, due), Kind: backlog.AgeExact}
	return nil
}
