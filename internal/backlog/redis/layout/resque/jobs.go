package resque

import (
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// delayed is when delayed jobs fell due.
type delayed struct {
	// times are the moments, as the keys have them.
	times []string
	// recent is how many of them are not longer ago than orphaned work counts.
	recent int64
}

// A moment has the jobs that fell due then.
type moment struct {
	at   time.Time
	jobs []string
}

// askJobs asks which work is due, what workers work on, and which of them and of the
// schedulers are alive.
func (q *queue) askJobs(trips *layout.RoundTrips, r *backlog.Reading, d delayed, workers []string) error {
	c := trips.Ask(q.jobCommands(d.times, workers)...)
	moments := make([]moment, len(d.times))
	for i := range moments {
		moments[i].jobs = c.Strings(-1)
	}
	ready := c.Count()
	schedulers := q.takeSchedulers(c)
	held := q.takeWork(c, workers)
	beats := q.takeHeartbeats(c, workers)
	for i, at := range d.times {
		moments[i].at = layout.Seconds.Parse(c, at)
	}
	if c.Err() != nil {
		return c.Err()
	}
	if len(workers) > 0 {
		trips.Remember(func() { q.allBeat = beats.all })
	}
	r.Ready = max(r.Ready, ready)
	o, now := layout.NewOrphans(q.params), trips.Now()
	silent := countInFlight(r, held, beats, schedulers, o, now)
	overdue := q.countDue(r, d, moments, schedulers, o, now)
	markOrphans(r, o, silent, overdue)
	return nil
}

// jobCommands returns what askJobs asks.
func (q *queue) jobCommands(times, workers []string) []resp.Command {
	var all []resp.Command
	for _, at := range times {
		key := q.key("delayed:" + at)
		all = append(all, resp.Command{Key: key, Args: []any{"LRANGE", key, 0, maxJobs - 1}})
	}
	// Work that was moved from there to the queue since the round trip before is there now.
	list := q.key("queue:" + q.name)
	all = append(all, resp.Command{Key: list, KeyType: 'l', Args: []any{"LLEN", list}})
	for _, lock := range q.locks() {
		all = append(all, resp.Command{Key: lock, Args: []any{"EXISTS", lock}})
	}
	for _, worker := range workers {
		key := q.key("worker:" + worker)
		all = append(all, resp.Command{Key: key, Args: []any{"GET", key}})
	}
	return q.heartbeatCommands(all, workers)
}

// countDue counts the work of the queue that is due, and reports whether some of it is overdue.
// The number is not complete if there may be more that counts than was looked at.
func (q *queue) countDue(r *backlog.Reading, d delayed, moments []moment, schedulers schedulerLocks, o *layout.Orphans, now time.Time) (overdue bool) {
	// What fell due too long ago to count need not be known.
	bounded := schedulers.absent() && o.After > 0
	complete := len(moments) < maxMoments || bounded && d.recent == 0
	var work layout.Schedule
	for _, m := range moments {
		own, all := q.own(m.jobs)
		late := schedulers.absent() && now.Sub(m.at) > overdueAfter
		complete = complete && (all || late && bounded && now.Sub(m.at) >= o.After)
		if late && own > 0 {
			overdue = true
			own = o.Add(own, m.at, now)
		}
		if work.Due += own; own > 0 {
			work.Since = layout.Earlier(work.Since, m.at)
		}
	}
	r.Due, r.Oldest = work.Due, work.Age(r.Ready)
	if !complete {
		r.Quality = backlog.LowerBound
		if work.Due > 0 {
			r.Quality = backlog.Capped
		}
		r.Due = max(work.Due, 1)
	}
	return overdue
}

// own returns how many jobs of one moment are of the queue, and whether these are all.
func (q *queue) own(jobs []string) (n int64, all bool) {
	all = len(jobs) < maxJobs
	for _, job := range jobs {
		queue, known := layout.NamedQueue(job)
		all = all && known
		if known && queue == q.name {
			n++
		}
	}
	return n, all
}
