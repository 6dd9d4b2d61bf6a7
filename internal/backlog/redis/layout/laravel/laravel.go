// Package laravel reads queues of Laravel (PHP), with or without Horizon.
package laravel

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// Layout is a queue of Laravel, with or without Horizon. The keys are those of
// https://github.com/laravel/framework/blob/13.x/src/Illuminate/Queue/RedisQueue.php
func Layout() layout.Layout {
	return layout.Layout{
		Layout: backlog.Layout{
			Name: "laravel",
			Summary: "A queue of Laravel (PHP) on its redis driver, with or without Horizon. Delayed jobs, retries and the jobs of a worker that died are moved to the queue by a worker alone, so at zero replicas they count as due here when their time has come. " +
				"Laravel keeps no list of its queues, so a wrong prefix looks like an empty queue: a warning says so until the first job is seen. Where a queue is paused is kept in the application's cache and not reported here. " +
				"Keys: PREFIX queues:NAME, PREFIX queues:NAME:delayed, PREFIX queues:NAME:reserved, without the blanks, and the same with NAME in braces, as Laravel 13 writes it in a cluster: jobs there are counted with a warning.",
			Queue:    "name of the queue; in a cluster with the braces that Laravel puts around it, such as {default}",
			Patterns: layout.FoundByScan("lists and sorted sets PREFIX queues:*"),
			Parameters: []backlog.Parameter{
				{Name: "prefix", Kind: backlog.KindText, Doc: "REDIS_PREFIX of the application (database.redis.options.prefix). If that is not set, Laravel makes it of the application's name: laravel_database_ up to Laravel 11, laravel-database- from 12 on. It is not Horizon's own prefix."},
				{Name: "age", Kind: backlog.KindChoice, Allowed: []string{"none", "payload"}, Default: "none", Doc: "With payload the first job of the queue is read to tell when it was created, which Laravel 12 and Horizon write into it. It needs the right +lindex."},
				layout.OrphanParameter("jobs that were held for 5 minutes longer than retry_after while there was no other work, because a worker takes them back only if its connection has a retry_after"),
			},
			Ready:    "the jobs on the queue",
			Due:      "delayed jobs and retries whose time has come, and jobs that a worker has held for longer than retry_after",
			InFlight: "the jobs that a worker has taken, also if it was killed, until retry_after has passed",
			Oldest:   "with age payload, exact: when the first job was created and its delay was over; else since when the first delayed job has been due, a lower bound while there are jobs on the queue",
		},
		Discover: func(p backlog.Params) layout.Discovery {
			prefix := p.Get("prefix") + "queues:"
			return layout.Discovery{KeyPatterns: []layout.KeyPattern{
				{Type: "list", Prefix: prefix, FixedPrefix: "queues:", ExceptSuffix: ":notify"},
				{Type: "zset", Prefix: prefix, FixedPrefix: "queues:", Suffix: ":delayed"},
				{Type: "zset", Prefix: prefix, FixedPrefix: "queues:", Suffix: ":reserved"},
			}}
		},
		Prepare: func(q backlog.Query, _ layout.KeySearch) layout.Step {
			s := newQueueStep(q, q.Queue)
			if !strings.ContainsAny(q.Queue, "{}") {
				s.tagged = newQueueStep(q, "{"+q.Queue+"}")
			}
			return s
		},
	}
}

// A queueStep asks for the counts of a queue, in the order in which a job passes.
type queueStep struct {
	queue   string
	payload bool
	params  backlog.Params
	// seen says that there was a job once, so that the name of the queue is right.
	seen bool
	// heldAlone is since when there have been jobs that were held for longer than retry_after
	// and no other work.
	heldAlone layout.Streak
	// tagged reads the same name as a hash tag; nil if it is one already.
	tagged *queueStep
}

func newQueueStep(q backlog.Query, name string) *queueStep {
	return &queueStep{queue: q.Params.Get("prefix") + "queues:" + name, payload: q.Params.Get("age") == "payload", params: q.Params}
}

// Commands implements layout.Step.
func (s *queueStep) Commands(dst []resp.Command, now time.Time) []resp.Command {
	reserved := s.queue + ":reserved"
	// The workers' clock counts whole seconds.
	expired := strconv.FormatInt(now.Unix(), 10)
	// What is reserved is counted first and last, for a job may pass either way.
	dst = append(dst, resp.Command{Key: reserved, KeyType: 'z', Args: []any{"ZCARD", reserved}})
	dst = layout.ScheduleCommands(dst, s.queue+":delayed", layout.Seconds, now)
	dst = append(dst,
		resp.Command{Key: s.queue, KeyType: 'l', Args: []any{"LLEN", s.queue}},
		resp.Command{Key: reserved, KeyType: 'z', Args: []any{"ZCOUNT", reserved, "-inf", expired}},
		resp.Command{Key: reserved, KeyType: 'z', Args: []any{"ZCARD", reserved}},
	)
	if s.payload {
		dst = append(dst, resp.Command{Key: s.queue, KeyType: 'l', Args: []any{"LINDEX", s.queue, 0}})
	}
	return dst
}

// Outcome implements layout.Step.
func (s *queueStep) Outcome(replies []resp.Reply, now time.Time) layout.Outcome {
	c := resp.NewDecoder(replies)
	before := c.Count()
	future := layout.ReadSchedule(c, layout.Seconds)
	ready, expired, after := c.Count(), c.Count(), c.Count()
	var created time.Time
	if s.payload {
		job, _ := c.Text()
		created = createdAt(job)
	}
	if c.Err() != nil {
		return layout.Fail(c.Err())
	}
	reading := backlog.Reading{
		Ready:    ready,
		Due:      future.Due + expired,
		InFlight: backlog.Exactly(max(before, after, expired) - expired),
		NextDue:  future.Next,
		Oldest:   future.Age(ready + expired),
	}
	if !created.IsZero() {
		reading.Oldest = backlog.Age{Since: layout.Earlier(created, future.Since), Kind: backlog.AgeExact}
		if expired > 0 {
			reading.Oldest.Kind = backlog.AgeLowerBound
		}
	}
	s.markHeld(&reading, expired, now)
	if reading.Backlog()+reading.Ignored > 0 || !reading.NextDue.IsZero() {
		s.seen = true
		return layout.Done(reading)
	}
	reading.Missing = true
	if s.seen {
		return layout.Done(reading)
	}
	reading.Warning = fmt.Sprintf("there was no job at %q yet; Laravel keeps no list of its queues, so a wrong prefix looks the same", s.queue)
	if s.tagged != nil {
		return layout.Outcome{Next: &taggedStep{queueStep: s.tagged, reading: reading}}
	}
	return layout.Done(reading)
}

// markHeld notes jobs that were held for longer than retry_after and that no worker takes
// back. A worker does so whenever it looks for a job, unless its connection has null for
// retry_after: then a job of a worker that died is held for ever, and any other for as
// long as it runs.
func (s *queueStep) markHeld(r *backlog.Reading, expired int64, now time.Time) {
	since, orphaned := s.heldAlone.Beyond(layout.StuckGrace, expired > 0 && expired == r.Backlog(), now)
	if !orphaned {
		return
	}
	o := layout.NewOrphans(s.params)
	r.Due = o.Add(expired, since, now)
	o.Mark(r, "jobs were held for longer than retry_after, and no worker takes them back: there is none, or its connection has no retry_after")
}

// A taggedStep reads the name of a queue as a hash tag, where there was never a
// job under the plain name: Laravel 13 does so by itself in a cluster.
type taggedStep struct {
	*queueStep
	// reading is that of the plain name.
	reading backlog.Reading
}

// Commands implements layout.Step.
func (s *taggedStep) Commands(dst []resp.Command, now time.Time) []resp.Command {
	dst = s.queueStep.Commands(dst, now)
	for i := range dst {
		// Only the keys of the first step wake.
		dst[i].KeyType = 0
	}
	return dst
}

// Outcome implements layout.Step.
func (s *taggedStep) Outcome(replies []resp.Reply, now time.Time) layout.Outcome {
	if slices.ContainsFunc(replies, resp.Reply.IsDenied) {
		return layout.Done(s.reading)
	}
	o := s.queueStep.Outcome(replies, now)
	if o.Err != nil || !o.Reading.Missing {
		o.Reading.Quality = max(o.Reading.Quality, backlog.LowerBound)
		o.Reading.AddWarning(fmt.Sprintf("the jobs are at %q, as Laravel 13 names queues in a cluster: name the queue with its braces", s.queue))
		return o
	}
	return layout.Done(s.reading)
}

// createdAt returns when a job was created and its delay was over; zero if it
// does not say.
func createdAt(text string) time.Time {
	var job struct {
		// CreatedAt and Delay are in seconds, since Laravel 12.
		CreatedAt float64 `json:"createdAt"`
		Delay     float64 `json:"delay"`
		// PushedAt is a text in seconds, with Horizon.
		PushedAt string `json:"pushedAt"`
	}
	if err := json.Unmarshal([]byte(text), &job); err != nil {
		return time.Time{}
	}
	since := job.CreatedAt
	if since == 0 {
		// A job without it, or a text that is no number, does not say.
		since, _ = strconv.ParseFloat(job.PushedAt, 64)
	}
	if since == 0 {
		return time.Time{}
	}
	return layout.Seconds.Time(since + job.Delay)
}
