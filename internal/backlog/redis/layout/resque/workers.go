package resque

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

const (
	// pruneAfter is after how long without a heartbeat a worker is dead to Resque.
	// https://github.com/resque/resque/blob/master/lib/resque.rb, DEFAULT_PRUNE_INTERVAL
	pruneAfter = 5 * time.Minute
	// stuckAfter is after how long without a ping the scheduler of node-resque has
	// removed a worker: an hour, and time to do so.
	// https://github.com/actionhero/node-resque/blob/main/src/core/scheduler.ts, stuckWorkerTimeout
	stuckAfter = 65 * time.Minute
	// overdueAfter is for how long a job is due when no scheduler moves it. One that runs
	// does so every 5 s.
	overdueAfter = 5 * time.Minute
)

const (
	silentText       = "a worker that holds jobs has sent no heartbeat for more than 5m, and nothing removes it: Resque does so only when a worker starts, node-resque only by a scheduler or cleanOldWorkers"
	overdueText      = "delayed jobs have been due for more than 5m, and no scheduler holds its lock"
	noHeartbeatsText = "the server does not allow HMGET of workers:heartbeat, so whether the workers that hold jobs are alive is not known"
	heartbeatsKey    = "workers:heartbeat"
)

// resqueLocks are the ends of the keys that a scheduler holds while it runs: those of
// resque-scheduler, which adds the namespace to a name with the namespace in it, and the
// one of node-resque. A prefix of the lock (RESQUE_SCHEDULER_MASTER_LOCK_PREFIX) hides the
// first two; jobs that stay due for long still show that nothing moves them.
// https://github.com/resque/resque-scheduler/blob/master/lib/resque/scheduler/locking.rb
func (q *queue) locks() [3]string {
	const master = "resque_scheduler_master_lock"
	return [3]string{q.key(q.key(master)), q.key(master), q.key("resque_scheduler_leader_lock")}
}

// schedulerLocks is what the locks say.
type schedulerLocks struct {
	// known says that the server allowed to look.
	known bool
	// any is a scheduler of any kind, node one of node-resque.
	any, node bool
}

// takeSchedulers takes the replies about the locks.
func (q *queue) takeSchedulers(c *resp.Decoder) schedulerLocks {
	r := schedulerLocks{known: true}
	for range q.locks() {
		if !c.Allowed() {
			r.known, r.node = false, false
			continue
		}
		r.node = c.Count() > 0
		r.any = r.any || r.node
	}
	return r
}

// absent reports whether no scheduler moves what is due.
func (r schedulerLocks) absent() bool { return r.known && !r.any }

// heartbeats are when workers were last heard of, in the order of the workers; zero
// if they never were, as those of Resque before 1.26.
type heartbeats struct {
	// ruby are those of Resque, by the clock of the server, and newest the last of them.
	ruby   []time.Time
	newest time.Time
	// node are those of node-resque, by the clocks of the workers.
	node []time.Time
	// denied says that the server does not allow to read those of Resque.
	denied bool
	// all says that each worker has one of Resque, or that they are denied.
	all bool
}

// pingKey returns the key of a worker's ping in node-resque, which takes the first two
// parts of a longer identity for the name.
func (q *queue) pingKey(worker string) string {
	name, rest, _ := strings.Cut(worker, ":")
	if second, _, found := strings.Cut(rest, ":"); found {
		name += ":" + second
	}
	return q.key("worker:ping:" + name)
}

// heartbeatCommands appends the commands that ask for the heartbeats of workers. Those of
// node-resque are left out if all workers had heartbeats of Resque at the last reading.
func (q *queue) heartbeatCommands(dst []resp.Command, workers []string) []resp.Command {
	if len(workers) == 0 {
		return dst
	}
	key := q.key(heartbeatsKey)
	all := []any{"HMGET", key}
	for _, worker := range workers {
		all = append(all, worker)
	}
	dst = append(dst, resp.Command{Key: key, Args: all})
	if !q.allBeat {
		for _, worker := range workers {
			key := q.pingKey(worker)
			dst = append(dst, resp.Command{Key: key, Args: []any{"GET", key}})
		}
	}
	return dst
}

// takeHeartbeats takes the replies to them.
func (q *queue) takeHeartbeats(c *resp.Decoder, workers []string) heartbeats {
	h := heartbeats{ruby: make([]time.Time, len(workers)), node: make([]time.Time, len(workers)), all: true}
	if len(workers) == 0 {
		return h
	}
	if h.denied = !c.Allowed(); !h.denied {
		for i, text := range c.Strings(len(workers)) {
			at, err := time.Parse(time.RFC3339, text)
			if err != nil {
				h.all = false
				continue
			}
			h.ruby[i] = at
			if at.After(h.newest) {
				h.newest = at
			}
		}
	}
	if q.allBeat {
		return h
	}
	for i := range workers {
		if c.Allowed() {
			ping, _ := c.Text()
			h.node[i] = pingTime(ping)
		}
	}
	return h
}

// pingTime returns when a worker of node-resque sent a ping; zero if it does not say.
func pingTime(text string) time.Time {
	var ping struct {
		Time float64 `json:"time"`
	}
	if err := json.Unmarshal([]byte(text), &ping); err != nil {
		return time.Time{}
	}
	return layout.Seconds.Time(ping.Time)
}

// silentSince returns since when a worker has been silent whose job nothing will move;
// zero if it is alive, or nothing is known of it, or something will.
//
// A worker of Resque that starts removes all dead ones. So without a living worker the
// first replica does so, and its job counts. Next to a living one it stays until another
// starts. Heartbeats are compared with the newest one, since the clock is the server's.
func (h heartbeats) silentSince(worker int, schedulers schedulerLocks, now time.Time) time.Time {
	if at := h.ruby[worker]; !at.IsZero() {
		if now.Sub(h.newest) <= pruneAfter && h.newest.Sub(at) > pruneAfter {
			return at
		}
		return time.Time{}
	}
	bound := pruneAfter
	if schedulers.node || !schedulers.known {
		bound = stuckAfter
	}
	if at := h.node[worker]; !at.IsZero() && now.Sub(at) > bound {
		return at
	}
	return time.Time{}
}

// heldJobs are those that workers work on.
type heldJobs struct {
	// busy are the places of the workers that work on a job of the queue.
	busy []int
	// complete says that no other worker does.
	complete bool
}

// takeWork takes what the workers work on.
func (q *queue) takeWork(c *resp.Decoder, workers []string) heldJobs {
	held := heldJobs{complete: len(workers) < maxWorkers}
	for i := range workers {
		job, found := c.Text()
		if !found {
			continue
		}
		name, known := layout.NamedQueue(job)
		held.complete = held.complete && known
		if known && name == q.name {
			held.busy = append(held.busy, i)
		}
	}
	return held
}

// countInFlight counts the jobs of the queue that workers work on, and reports whether one of
// the workers is silent.
func countInFlight(r *backlog.Reading, held heldJobs, beats heartbeats, schedulers schedulerLocks, o *layout.Orphans, now time.Time) (silent bool) {
	var n int64
	for _, i := range held.busy {
		since := beats.silentSince(i, schedulers, now)
		if since.IsZero() {
			n++
			continue
		}
		silent = true
		n += o.Add(1, since, now)
	}
	if beats.denied && len(held.busy) > 0 {
		r.AddWarning(noHeartbeatsText)
	}
	if !held.complete {
		// Among the others there may be more.
		r.Quality = backlog.LowerBound
		n = max(n, 1)
	}
	r.InFlight = backlog.Exactly(n)
	return silent
}

// markOrphans completes the reading by the work that nothing will move.
func markOrphans(r *backlog.Reading, o *layout.Orphans, silent, overdue bool) {
	var texts []string
	if silent {
		texts = append(texts, silentText)
	}
	if overdue {
		texts = append(texts, overdueText)
	}
	o.Mark(r, strings.Join(texts, "; "))
}
