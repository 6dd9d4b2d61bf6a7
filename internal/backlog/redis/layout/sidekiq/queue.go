package sidekiq

import (
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// A queue asks for the future and due work, then for the queue, then for the processes: in the
// order in which a job passes, so that none is missed on its way.
type queue struct {
	name, prefix string
	payload      bool
	registry     layout.Registry
	// private finds the lists of a reliable fetch; nil if none is used.
	private *privateLists

	// lastReady is the length of the queue at the last read.
	lastReady int64
	// shrunkAt is when the queue was last seen to have shrunk; zero once every process
	// has reported since then what it works on.
	shrunkAt time.Time
	// lastBeats is when each process that serves the queue had been heard of by then, by its
	// own clock; nil until they were asked.
	lastBeats map[string]time.Time
	// busy are the processes that had jobs of the queue at the last read, and lost when
	// the last one disappeared that had some, or may have taken some.
	busy   []string
	lostAt time.Time
}

// Commands implements layout.Reader.
func (q *queue) Commands(dst []resp.Command, now time.Time) []resp.Command {
	dst = laterCommands(dst, q.prefix, now)
	list, paused, processes := q.prefix+"queue:"+q.name, q.prefix+"paused", q.prefix+"processes"
	dst = append(dst,
		resp.Command{Key: list, KeyType: 'l', Args: []any{"LLEN", list}},
		resp.Command{Key: paused, KeyType: 's', Args: []any{"SISMEMBER", paused, q.name}},
		resp.Command{Key: processes, KeyType: 's', Args: []any{"SRANDMEMBER", processes, maxProcesses}},
	)
	if q.payload {
		dst = append(dst, resp.Command{Key: list, KeyType: 'l', Args: []any{"LINDEX", list, -1}})
	}
	if q.private != nil {
		q.private.update(now)
		key := q.prefix + superProcesses
		dst = append(dst, resp.Command{Key: key, Args: []any{"SRANDMEMBER", key, maxProcesses}})
	}
	return dst
}

// Read implements layout.Reader.
func (q *queue) Read(trips *layout.RoundTrips) (backlog.Reading, error) {
	c := trips.First()
	work, complete := q.takeSet(c)
	retries, alsoComplete := q.takeSet(c)
	work, complete = work.Plus(retries), complete && alsoComplete
	r := backlog.Reading{Ready: c.Count(), Paused: c.Count() > 0, NextDue: work.Next}
	processes := c.Strings(-1)
	var enqueued time.Time
	if q.payload {
		job, _ := c.Text()
		enqueued = enqueuedAt(job)
	}
	kept := q.takeKept(c)
	if c.Err() != nil {
		return r, c.Err()
	}
	countDue(&r, work, complete)
	if !enqueued.IsZero() {
		r.Oldest = backlog.Age{Since: layout.Earlier(enqueued, work.Since), Kind: backlog.AgeExact}
	}
	q.noteLength(r.Ready, trips.Now())
	w, err := q.askWork(trips, processes, kept)
	if err != nil {
		return r, err
	}
	q.countInFlight(trips, &r, w)
	if r.Backlog() == 0 && r.NextDue.IsZero() {
		return q.registry.Ask(trips, r)
	}
	return r, nil
}

// countDue counts the work that is due, which is not complete if there may be more of it.
func countDue(r *backlog.Reading, work layout.Schedule, complete bool) {
	r.Due, r.Oldest = work.Due, work.Age(r.Ready)
	if complete {
		return
	}
	// One process is enough to move the due work of all queues.
	r.Due = max(work.Due, 1)
	r.Quality = backlog.LowerBound
	if work.Due > 0 {
		r.Quality = backlog.Capped
	}
}

// noteLength notes whether the queue has shrunk. Another run of the same reading finds the
// length unchanged, and notes nothing.
func (q *queue) noteLength(ready int64, now time.Time) {
	if ready < q.lastReady {
		q.shrunkAt, q.lastBeats = now, nil
	}
	q.lastReady = ready
}
