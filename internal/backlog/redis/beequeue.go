package redis

import (
	"cmp"
	"encoding/json"
	"fmt"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// beequeueLayout is a queue of Bee-Queue.
func beequeueLayout() layout {
	return layout{
		Layout: backlog.Layout{
			Name:     "beequeue",
			Summary:  "A queue of Bee-Queue 0.3 to 2. With age payload the user needs the rights of job frameworks on the keys of the queue, `PREFIX:QUEUE:*`.",
			Queue:    "name of the queue",
			Patterns: scanned("keys PREFIX:*:id and PREFIX:*:jobs"),
			Parameters: []backlog.Parameter{
				{Name: "prefix", Kind: backlog.KindText, Default: "bq", Doc: "The setting prefix of the queue."},
				{Name: "age", Kind: backlog.KindChoice, Allowed: []string{"none", "payload"}, Default: "none", Doc: "Whether to read when the next job was added. It takes one more round trip and reads the job, its payload included."},
				orphanParameter("delayed jobs that have been due for 5 minutes while there was no other work, because only a worker with activateDelayedJobs raises them"),
			},
			Ready:    "jobs that wait",
			Due:      "delayed and retried jobs whose time has come, and which only a worker with activateDelayedJobs would raise",
			InFlight: "active jobs, those of workers that are gone included",
			Passing:  "the counter id of the jobs that were added without an id of their own, delayed ones too; not where the queue is polled",
			Oldest:   "exact with age payload: when the next job was added; else since when the first delayed job has been due, a lower bound if other jobs wait",
		},
		discover: func(p backlog.Params) discovery {
			// A job with an id of its own leaves no counter of ids. While there is work the
			// hash of all jobs is there.
			prefix := beequeuePrefix(p) + ":"
			return discovery{traces: []trace{{kind: "string", prefix: prefix, fixed: ":", suffix: ":id"}, {kind: "hash", prefix: prefix, fixed: ":", suffix: ":jobs"}}}
		},
		prepare: func(q backlog.Query, _ keySearch) step {
			prefix := beequeuePrefix(q.Params)
			return &beequeueStep{prefix: prefix, queue: q.Queue, withAge: q.Params.Get("age") == "payload", params: q.Params}
		},
	}
}

func beequeuePrefix(p backlog.Params) string { return cmp.Or(p.Get("prefix"), "bq") }

// A beequeueStep asks for the counts of a queue, in the order in which jobs go
// through it, so that one on its way is counted twice rather than not at all.
type beequeueStep struct {
	prefix, queue string
	withAge       bool
	params        backlog.Params
	// unraised is since when there have been due jobs and no other work.
	unraised lasting
}

// key returns the key of a part of the queue.
func (s *beequeueStep) key(part string) string { return s.prefix + ":" + s.queue + ":" + part }

// counters implements counting: each job that is added takes a number, unless the producer
// gives it an id.
func (s *beequeueStep) counters() []string { return []string{s.key("id")} }

func (s *beequeueStep) commands(dst []resp.Command, now time.Time) []resp.Command {
	waiting, active := s.key("waiting"), s.key("active")
	dst = delayed(dst, s.key("delayed"), clockMilliseconds, now)
	dst = append(dst,
		resp.Command{Key: waiting, KeyType: 'l', Args: []any{"LLEN", waiting}},
		resp.Command{Key: active, KeyType: 'l', Args: []any{"LLEN", active}},
	)
	if s.withAge {
		dst = append(dst, resp.Command{Key: waiting, KeyType: 'l', Args: []any{"LINDEX", waiting, -1}})
	}
	return dst
}

func (s *beequeueStep) outcome(replies []resp.Reply, now time.Time) outcome {
	c := resp.NewDecoder(replies)
	later := takeDelayed(c, clockMilliseconds)
	r := backlog.Reading{Ready: c.Count(), Due: later.due, InFlight: backlog.Exactly(c.Count()), NextDue: later.next}
	next, isNext := "", false
	if s.withAge {
		next, isNext = c.Text()
	}
	if c.Err() != nil {
		return fail(c.Err())
	}
	r.Oldest = later.age(r.Ready)
	s.raise(&r, now)
	switch {
	case r.Backlog()+r.Ignored == 0 && later.next.IsZero():
		return outcome{next: &pastStep{
			// The counter of its ids, and the jobs that are done.
			keys: []string{s.key("id"), s.key("jobs")}, reading: r,
			warning: fmt.Sprintf("there is no trace of a Bee-Queue queue %q with the prefix %q; its first job makes it", s.queue, s.prefix),
		}}
	case isNext:
		return outcome{next: &beequeueAgeStep{beequeueStep: s, reading: r, id: next}}
	default:
		return done(r)
	}
}

// raise notes due jobs that no worker raises. A worker does so at once if it has
// activateDelayedJobs, which is off by default and leaves no trace: all that shows is
// that these jobs stay while no others are there to be worked on.
func (s *beequeueStep) raise(r *backlog.Reading, now time.Time) {
	since, orphaned := s.unraised.beyond(stuckGrace, r.Due > 0 && r.Due == r.Backlog(), now)
	if !orphaned {
		return
	}
	o := newOrphans(s.params)
	if r.Due = o.add(r.Due, since, now); r.Due == 0 {
		r.Oldest = backlog.Age{}
	}
	o.mark(r, "delayed jobs are due, and no worker raises them: there is none, or none has the setting activateDelayedJobs")
}

// A beequeueAgeStep asks when the next job was added.
type beequeueAgeStep struct {
	*beequeueStep
	reading backlog.Reading
	id      string
}

func (s *beequeueAgeStep) commands(dst []resp.Command, _ time.Time) []resp.Command {
	return append(dst, resp.Command{Key: s.key("jobs"), Args: []any{"HGET", s.key("jobs"), s.id}})
}

func (s *beequeueAgeStep) outcome(replies []resp.Reply, _ time.Time) outcome {
	c := resp.NewDecoder(replies)
	text, found := c.Text()
	if c.Err() != nil {
		return fail(c.Err())
	}
	r := s.reading
	if !found {
		// The job was removed between the two round trips.
		return done(r)
	}
	var job struct {
		Options struct {
			Timestamp float64 `json:"timestamp"` // Unix time in milliseconds
		} `json:"options"`
	}
	if err := json.Unmarshal([]byte(text), &job); err != nil {
		return fail(fmt.Errorf("%w: job %q is not JSON", resp.ErrReply, s.id))
	}
	if since := earlier(clockMilliseconds.time(job.Options.Timestamp), r.Oldest.Since); !since.IsZero() {
		r.Oldest = backlog.Age{Since: since, Kind: backlog.AgeExact}
	}
	return done(r)
}
