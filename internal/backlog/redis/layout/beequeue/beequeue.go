// Package beequeue reads queues of Bee-Queue (Node.js).
package beequeue

import (
	"cmp"
	"encoding/json"
	"fmt"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// Layout is a queue of Bee-Queue.
func Layout() layout.Layout {
	return layout.Layout{
		Layout: backlog.Layout{
			Name:     "beequeue",
			Summary:  "A queue of Bee-Queue 0.3 to 2. With age payload the user needs the rights of job frameworks on the keys of the queue, `PREFIX:QUEUE:*`.",
			Queue:    "name of the queue",
			Patterns: layout.FoundByScan("keys PREFIX:*:id and PREFIX:*:jobs"),
			Parameters: []backlog.Parameter{
				{Name: "prefix", Kind: backlog.KindText, Default: "bq", Doc: "The setting prefix of the queue."},
				{Name: "age", Kind: backlog.KindChoice, Allowed: []string{"none", "payload"}, Default: "none", Doc: "Whether to read when the next job was added. It takes one more round trip and reads the job, its payload included."},
				layout.OrphanParameter("delayed jobs that have been due for 5 minutes while there was no other work, because only a worker with activateDelayedJobs raises them"),
			},
			Ready:    "jobs that wait",
			Due:      "delayed and retried jobs whose time has come, and which only a worker with activateDelayedJobs would raise",
			InFlight: "active jobs, those of workers that are gone included",
			Passing:  "the counter id of the jobs that were added without an id of their own, delayed ones too; not where the queue is polled",
			Oldest:   "exact with age payload: when the next job was added; else since when the first delayed job has been due, a lower bound if other jobs wait",
		},
		Discover: func(p backlog.Params) layout.Discovery {
			// A job with an id of its own leaves no counter of ids. While there is work the
			// hash of all jobs is there.
			prefix := prefixOf(p) + ":"
			return layout.Discovery{KeyPatterns: []layout.KeyPattern{{Type: "string", Prefix: prefix, FixedPrefix: ":", Suffix: ":id"}, {Type: "hash", Prefix: prefix, FixedPrefix: ":", Suffix: ":jobs"}}}
		},
		Prepare: func(q backlog.Query, _ layout.KeySearch) layout.Reader {
			prefix := prefixOf(q.Params)
			return &queue{prefix: prefix, name: q.Queue, withAge: q.Params.Get("age") == "payload", params: q.Params}
		},
	}
}

func prefixOf(p backlog.Params) string { return cmp.Or(p.Get("prefix"), "bq") }

// A queue asks for the counts of a queue, in the order in which jobs go
// through it, so that one on its way is counted twice rather than not at all.
type queue struct {
	prefix, name string
	withAge      bool
	params       backlog.Params
	// unraised is since when there have been due jobs and no other work.
	unraised layout.Streak
}

// key returns the key of a part of the queue.
func (q *queue) key(part string) string { return q.prefix + ":" + q.name + ":" + part }

// JobCounters implements layout.JobCounter: each job that is added takes a number, unless the
// producer gives it an id.
func (q *queue) JobCounters() []string { return []string{q.key("id")} }

// Commands implements layout.Reader.
func (q *queue) Commands(dst []resp.Command, now time.Time) []resp.Command {
	waiting, active := q.key("waiting"), q.key("active")
	dst = layout.ScheduleCommands(dst, q.key("delayed"), layout.Milliseconds, now)
	dst = append(dst,
		resp.Command{Key: waiting, KeyType: 'l', Args: []any{"LLEN", waiting}},
		resp.Command{Key: active, KeyType: 'l', Args: []any{"LLEN", active}},
	)
	if q.withAge {
		dst = append(dst, resp.Command{Key: waiting, KeyType: 'l', Args: []any{"LINDEX", waiting, -1}})
	}
	return dst
}

// Read implements layout.Reader.
func (q *queue) Read(trips *layout.RoundTrips) (backlog.Reading, error) {
	c := trips.First()
	later := layout.ReadSchedule(c, layout.Milliseconds)
	r := backlog.Reading{Ready: c.Count(), Due: later.Due, InFlight: backlog.Exactly(c.Count()), NextDue: later.Next}
	next, isNext := "", false
	if q.withAge {
		next, isNext = c.Text()
	}
	if c.Err() != nil {
		return r, c.Err()
	}
	r.Oldest = later.Age(r.Ready)
	q.markUnraised(&r, trips.Now())
	if r.Backlog()+r.Ignored == 0 && later.Next.IsZero() {
		// The counter of its ids, and the jobs that are done.
		return layout.AskExists(trips, r, fmt.Sprintf("there is no trace of a Bee-Queue queue %q with the prefix %q; its first job makes it", q.name, q.prefix), q.key("id"), q.key("jobs"))
	}
	if isNext {
		if err := q.askAge(trips, &r, next); err != nil {
			return r, err
		}
	}
	return r, nil
}

// markUnraised notes due jobs that no worker raises. A worker does so at once if it has
// activateDelayedJobs, which is off by default and leaves no trace: all that shows is
// that these jobs stay while no others are there to be worked on.
func (q *queue) markUnraised(r *backlog.Reading, now time.Time) {
	since, orphaned := q.unraised.Beyond(layout.StuckGrace, r.Due > 0 && r.Due == r.Backlog(), now)
	if !orphaned {
		return
	}
	o := layout.NewOrphans(q.params)
	if r.Due = o.Add(r.Due, since, now); r.Due == 0 {
		r.Oldest = backlog.Age{}
	}
	o.Mark(r, "delayed jobs are due, and no worker raises them: there is none, or none has the setting activateDelayedJobs")
}

// askAge asks when the next job was added.
func (q *queue) askAge(trips *layout.RoundTrips, r *backlog.Reading, id string) error {
	c := trips.Ask(resp.Command{Key: q.key("jobs"), Args: []any{"HGET", q.key("jobs"), id}})
	text, found := c.Text()
	if c.Err() != nil || !found {
		// If it is not found, the job was removed between the two round trips.
		return c.Err()
	}
	var job struct {
		Options struct {
			Timestamp float64 `json:"timestamp"` // Unix time in milliseconds
		} `json:"options"`
	}
	if err := json.Unmarshal([]byte(text), &job); err != nil {
		return fmt.Errorf("%w: job %q is not JSON", resp.ErrReply, id)
	}
	if since := layout.Earlier(layout.Milliseconds.Time(job.Options.Timestamp), r.Oldest.Since); !since.IsZero() {
		r.Oldest = backlog.Age{Since: since, Kind: backlog.AgeExact}
	}
	return nil
}
