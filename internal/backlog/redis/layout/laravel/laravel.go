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
		Prepare: func(q backlog.Query, _ layout.KeySearch) layout.Reader {
			plain := newQueue(q, q.Queue)
			if !strings.ContainsAny(q.Queue, "{}") {
				plain.tagged = newQueue(q, "{"+q.Queue+"}")
			}
			return plain
		},
	}
}

// A queue asks for the counts, in the order in which a job passes.
type queue struct {
	list    string
	payload bool
	params  backlog.Params
	// seen says that there was a job once, so that the name of the queue is right.
	seen bool
	// heldAlone is since when there have been jobs that were held for longer than retry_after
	// and no other work.
	heldAlone layout.Streak
	// tagged reads the same name as a hash tag; nil if it is one already.
	tagged *queue
}

func newQueue(q backlog.Query, name string) *queue {
	return &queue{list: q.Params.Get("prefix") + "queues:" + name, payload: q.Params.Get("age") == "payload", params: q.Params}
}

// Commands implements layout.Reader.
func (q *queue) Commands(dst []resp.Command, now time.Time) []resp.Command {
	reserved := q.list + ":reserved"
	// The workers' clock counts whole seconds.
	expired := strconv.FormatInt(now.Unix(), 10)
	// What is reserved is counted first and last, for a job may pass either way.
	dst = append(dst, resp.Command{Key: reserved, KeyType: 'z', Args: []any{"ZCARD", reserved}})
	dst = layout.ScheduleCommands(dst, q.list+":delayed", layout.Seconds, now)
	dst = append(dst,
		resp.Command{Key: q.list, KeyType: 'l', Args: []any{"LLEN", q.list}},
		resp.Command{Key: reserved, KeyType: 'z', Args: []any{"ZCOUNT", reserved, "-inf", expired}},
		resp.Command{Key: reserved, KeyType: 'z', Args: []any{"ZCARD", reserved}},
	)
	if q.payload {
		dst = append(dst, resp.Command{Key: q.list, KeyType: 'l', Args: []any{"LINDEX", q.list, 0}})
	}
	return dst
}

// Read implements layout.Reader.
func (q *queue) Read(trips *layout.RoundTrips) (backlog.Reading, error) {
	r, err := q.conclude(trips.First(), trips.Now())
	if err == nil && r.Missing && !q.seen && q.tagged != nil {
		return q.tagged.askTagged(trips, r)
	}
	return r, err
}

// conclude makes a reading of the replies to Commands.
func (q *queue) conclude(c *resp.Decoder, now time.Time) (backlog.Reading, error) {
	before := c.Count()
	future := layout.ReadSchedule(c, layout.Seconds)
	ready, expired, after := c.Count(), c.Count(), c.Count()
	var created time.Time
	if q.payload {
		job, _ := c.Text()
		created = createdAt(job)
	}
	r := backlog.Reading{
		Ready:    ready,
		Due:      future.Due + expired,
		InFlight: backlog.Exactly(max(before, after, expired) - expired),
		NextDue:  future.Next,
		Oldest:   future.Age(ready + expired),
	}
	if c.Err() != nil {
		return r, c.Err()
	}
	if !created.IsZero() {
		r.Oldest = backlog.Age{Since: layout.Earlier(created, future.Since), Kind: backlog.AgeExact}
		if expired > 0 {
			r.Oldest.Kind = backlog.AgeLowerBound
		}
	}
	q.markHeld(&r, expired, now)
	if r.Backlog()+r.Ignored > 0 || !r.NextDue.IsZero() {
		q.seen = true
		return r, nil
	}
	r.Missing = true
	if !q.seen {
		r.Warning = fmt.Sprintf("there was no job at %q yet; Laravel keeps no list of its queues, so a wrong prefix looks the same", q.list)
	}
	return r, nil
}

// markHeld notes jobs that were held for longer than retry_after and that no worker takes
// back. A worker does so whenever it looks for a job, unless its connection has null for
// retry_after: then a job of a worker that died is held for ever, and any other for as
// long as it runs.
func (q *queue) markHeld(r *backlog.Reading, expired int64, now time.Time) {
	since, orphaned := q.heldAlone.Beyond(layout.StuckGrace, expired > 0 && expired == r.Backlog(), now)
	if !orphaned {
		return
	}
	o := layout.NewOrphans(q.params)
	r.Due = o.Add(expired, since, now)
	o.Mark(r, "jobs were held for longer than retry_after, and no worker takes them back: there is none, or its connection has no retry_after")
}

// askTagged reads the name of a queue as a hash tag, where there was never a job under the plain
// name: Laravel 13 does so by itself in a cluster. plain is the reading of the plain name.
func (q *queue) askTagged(trips *layout.RoundTrips, plain backlog.Reading) (backlog.Reading, error) {
	commands := q.Commands(nil, trips.Now())
	for i := range commands {
		// Only the keys of the plain name wake.
		commands[i].KeyType = 0
	}
	c := trips.Ask(commands...)
	if slices.ContainsFunc(c.Rest(), resp.Reply.IsDenied) {
		return plain, nil
	}
	r, err := q.conclude(c, trips.Now())
	if err != nil {
		return r, err
	}
	if r.Missing {
		return plain, nil
	}
	r.Quality = max(r.Quality, backlog.LowerBound)
	r.AddWarning(fmt.Sprintf("the jobs are at %q, as Laravel 13 names queues in a cluster: name the queue with its braces", q.list))
	return r, nil
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
