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
		Prepare: func(q backlog.Query, _ layout.KeySearch) layout.Step {
			prefix := prefixOf(q.Params)
			return &queueStep{prefix: prefix, queue: q.Queue, withAge: q.Params.Get("age") == "payload", params: q.Params}
		},
	}
}

func prefixOf(p backlog.Params) string { return cmp.Or(p.Get("prefix"), "bq") }

// A queueStep asks for the counts of a queue, in the order in which jobs go
// through it, so that one on its way is counted twice rather than not at all.
type queueStep struct {
	prefix, queue string
	withAge       bool
	params        backlog.Params
	// unraised is since when there have been due jobs and no other work.
	unraised layout.Streak
}

// key returns the key of a part of the queue.
func (s *queueStep) key(part string) string { return s.prefix + ":" + s.queue + ":" + part }

// JobCounters implements counting: each job that is added takes a number, unless the producer
// gives it an id.
func (s *queueStep) JobCounters() []string { return []string{s.key("id")} }

// Commands implements layout.Step.
func (s *queueStep) Commands(dst []resp.Command, now time.Time) []resp.Command {
	waiting, active := s.key("waiting"), s.key("active")
	dst = layout.ScheduleCommands(dst, s.key("delayed"), layout.Milliseconds, now)
	dst = append(dst,
		resp.Command{Key: waiting, KeyType: 'l', Args: []any{"LLEN", waiting}},
		resp.Command{Key: active, KeyType: 'l', Args: []any{"LLEN", active}},
	)
	if s.withAge {
		dst = append(dst, resp.Command{Key: waiting, KeyType: 'l', Args: []any{"LINDEX", waiting, -1}})
	}
	return dst
}

// Outcome implements layout.Step.
func (s *queueStep) Outcome(replies []resp.Reply, now time.Time) layout.Outcome {
	c := resp.NewDecoder(replies)
	later := layout.ReadSchedule(c, layout.Milliseconds)
	r := backlog.Reading{Ready: c.Count(), Due: later.Due, InFlight: backlog.Exactly(c.Count()), NextDue: later.Next}
	next, isNext := "", false
	if s.withAge {
		next, isNext = c.Text()
	}
	if c.Err() != nil {
		return layout.Fail(c.Err())
	}
	r.Oldest = later.Age(r.Ready)
	s.markUnraised(&r, now)
	switch {
	case r.Backlog()+r.Ignored == 0 && later.Next.IsZero():
		return layout.Outcome{Next: &layout.ExistsStep{
			// The counter of its ids, and the jobs that are done.
			Keys: []string{s.key("id"), s.key("jobs")}, Reading: r,
			Warning: fmt.Sprintf("there is no trace of a Bee-Queue queue %q with the prefix %q; its first job makes it", s.queue, s.prefix),
		}}
	case isNext:
		return layout.Outcome{Next: &ageStep{queueStep: s, reading: r, id: next}}
	default:
		return layout.Done(r)
	}
}

// markUnraised notes due jobs that no worker raises. A worker does so at once if it has
// activateDelayedJobs, which is off by default and leaves no trace: all that shows is
// that these jobs stay while no others are there to be worked on.
func (s *queueStep) markUnraised(r *backlog.Reading, now time.Time) {
	since, orphaned := s.unraised.Beyond(layout.StuckGrace, r.Due > 0 && r.Due == r.Backlog(), now)
	if !orphaned {
		return
	}
	o := layout.NewOrphans(s.params)
	if r.Due = o.Add(r.Due, since, now); r.Due == 0 {
		r.Oldest = backlog.Age{}
	}
	o.Mark(r, "delayed jobs are due, and no worker raises them: there is none, or none has the setting activateDelayedJobs")
}

// An ageStep asks when the next job was added.
type ageStep struct {
	*queueStep
	reading backlog.Reading
	id      string
}

// Commands implements layout.Step.
func (s *ageStep) Commands(dst []resp.Command, _ time.Time) []resp.Command {
	return append(dst, resp.Command{Key: s.key("jobs"), Args: []any{"HGET", s.key("jobs"), s.id}})
}

// Outcome implements layout.Step.
func (s *ageStep) Outcome(replies []resp.Reply, _ time.Time) layout.Outcome {
	c := resp.NewDecoder(replies)
	text, found := c.Text()
	if c.Err() != nil {
		return layout.Fail(c.Err())
	}
	r := s.reading
	if !found {
		// The job was removed between the two round trips.
		return layout.Done(r)
	}
	var job struct {
		Options struct {
			Timestamp float64 `json:"timestamp"` // Unix time in milliseconds
		} `json:"options"`
	}
	if err := json.Unmarshal([]byte(text), &job); err != nil {
		return layout.Fail(fmt.Errorf("%w: job %q is not JSON", resp.ErrReply, s.id))
	}
	if since := layout.Earlier(layout.Milliseconds.Time(job.Options.Timestamp), r.Oldest.Since); !since.IsZero() {
		r.Oldest = backlog.Age{Since: since, Kind: backlog.AgeExact}
	}
	return layout.Done(r)
}
