// Package arq reads queues of arq (Python).
package arq

import (
	"fmt"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

const (
	// inProgressPrefix is what the keys of jobs that run begin with.
	// https://github.com/python-arq/arq/blob/main/arq/constants.py
	inProgressPrefix = "arq:in-progress:"
	// abortKey is the sorted set of jobs that workers are to abort.
	abortKey = "arq:abort"
	// maxRunning is among how many jobs that are due those that run are looked for.
	// Workers take the jobs that are due first, so that is where they are.
	maxRunning = 256
)

// Layout is a queue of arq: a sorted set from which a job goes when it is done.
func Layout() layout.Layout {
	return layout.Layout{
		Layout: backlog.Layout{
			Name: "arq",
			Summary: "A queue of arq (Python): a sorted set of jobs, scored by the time from which they may run, which keeps a job until it is done. " +
				"Cron jobs are put there by a running worker alone. It needs the right to read arq:in-progress:* to tell which jobs run.",
			Queue:    "queue_name of the worker, by default arq:queue",
			Patterns: layout.FoundByScan("sorted sets"),
			Ready:    "the jobs whose time has come and that no worker runs; deferred jobs and retries need no worker to become ready",
			InFlight: "the jobs that a worker runs, among the first 256; a job of a worker that was killed is in flight until arq gives it up, and then ready again",
			Oldest:   "exact: since when the first job that does not run could have run; unknown if all of the first 256 run",
		},
		// The set of jobs to be aborted is no queue.
		Discover: func(backlog.Params) layout.Discovery {
			return layout.Discovery{KeyPatterns: []layout.KeyPattern{{Type: "zset", ExceptSuffix: abortKey}}}
		},
		Prepare: func(q backlog.Query, _ layout.KeySearch) layout.Reader { return &queue{key: q.Queue} },
	}
}

// A queue asks for the jobs that are due, and which are the first of them.
type queue struct{ key string }

// Commands implements layout.Reader.
func (q *queue) Commands(dst []resp.Command, now time.Time) []resp.Command {
	dst = layout.ScheduleCommands(dst, q.key, layout.Milliseconds, now)
	return append(dst, resp.Command{Key: q.key, KeyType: 'z', Args: layout.ByScore(q.key, "-inf", layout.Milliseconds.Due(now), maxRunning, true)})
}

// Read implements layout.Reader.
func (q *queue) Read(trips *layout.RoundTrips) (backlog.Reading, error) {
	c := trips.First()
	jobs := layout.ReadSchedule(c, layout.Milliseconds)
	first := c.Strings(-1)
	if len(first)%2 != 0 {
		c.Fail(fmt.Errorf("%w: %d elements where members and scores belong", resp.ErrReply, len(first)))
	}
	r := backlog.Reading{Ready: jobs.Due, InFlight: backlog.Exactly(0), NextDue: jobs.Next}
	switch {
	case c.Err() != nil:
		return r, c.Err()
	case len(first) == 0:
		// Redis has no empty sorted sets.
		r.Missing = jobs.Due == 0 && jobs.Next.IsZero()
		return r, nil
	}
	err := askRunning(trips, &r, first)
	return r, err
}

// askRunning asks which of the first jobs run: ids, each followed by its score.
func askRunning(trips *layout.RoundTrips, r *backlog.Reading, jobs []string) error {
	var commands []resp.Command
	for i := 0; i < len(jobs); i += 2 {
		key := inProgressPrefix + jobs[i]
		// One key each: in a cluster they lie in different slots.
		commands = append(commands, resp.Command{Key: key, Args: []any{"EXISTS", key}})
	}
	c := trips.Ask(commands...)
	var running int64
	var waits string // the score of the first job that does not run
	for i := 0; i < len(jobs); i += 2 {
		n := c.Count()
		running += n
		if n == 0 && waits == "" {
			waits = jobs[i+1]
		}
	}
	if c.Err() != nil {
		return c.Err()
	}
	// Their sum is exact: what runs is still in the set.
	running = min(running, r.Ready)
	r.Ready -= running
	r.InFlight = backlog.Exactly(running)
	if waits != "" {
		value, err := resp.Score(waits)
		if err != nil {
			return err
		}
		r.Oldest = backlog.Age{Since: layout.Milliseconds.Time(value), Kind: backlog.AgeExact}
	}
	return nil
}
