// Package asynq reads queues of asynq (Go).
package asynq

import (
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// oldNames is what the names of queues begin with in asynq:queues, as asynq wrote
// them before 0.12. It is the key of the queue's list.
const oldNames = "asynq:queues:"

// deniedPause is for how long the list of asynq before 0.18 is left alone when the
// server does not allow to read it.
const deniedPause = time.Minute

// Layout is a queue of asynq 0.12 and later. The keys are those of
// https://github.com/hibiken/asynq/blob/master/internal/base/base.go, of all versions:
//
//   - asynq:{QUEUE}:pending is a list; before 0.18 it was asynq:{QUEUE}.
//   - asynq:{QUEUE}:active is a list.
//   - asynq:{QUEUE}:lease has an entry for each active task with the end of its lease;
//     before 0.22 asynq:{QUEUE}:deadlines had one with its deadline. The recoverer, which
//     each worker runs, retries active tasks by that set alone.
//   - asynq:{QUEUE}:scheduled and asynq:{QUEUE}:retry are sorted sets.
//   - asynq:{QUEUE}:groups names the groups (from 0.23 on), asynq:{QUEUE}:g:GROUP are
//     their tasks, and asynq:{QUEUE}:aggregation_sets the groups that are aggregated.
func Layout() layout.Layout {
	return layout.Layout{
		Layout: backlog.Layout{
			Name: "asynq",
			Summary: "A queue of asynq 0.12 and later. The user needs the rights of job frameworks on the keys of the queue, `asynq:{QUEUE}*`, and on `asynq:queues`, " +
				"the names of all queues.",
			Queue:    "name of the queue, such as default",
			Patterns: layout.FoundInRegistry("set asynq:queues"),
			Parameters: []backlog.Parameter{
				{Name: "age", Kind: backlog.KindChoice, Allowed: []string{"none", "payload"}, Default: "none", Doc: "Whether to read since when the next task has been pending. It takes one more round trip, and reads that one field of its hash."},
				layout.OrphanParameter("active tasks without a lease, which the workers' recoverer does not see"),
			},
			Ready: "pending tasks",
			Due: "scheduled and retried tasks whose time has come, and tasks that wait in groups: only a worker would forward or aggregate them. " +
				"Of a queue with more than 100 groups, 100 are counted and each other one counts as one task, which is a lower bound",
			InFlight:     "active tasks, those of workers that are gone included, and one for each group that is being aggregated",
			Passing:      "the counter processed of the tasks that workers are done with (asynq 0.20 and later); not where the queue is polled",
			Oldest:       "exact with age payload: since when the next task has been pending; else since when the first scheduled or retried task has been due, a lower bound if others wait",
			WorkersScope: []string{},
			Workers: "servers with a task of any queue, by the host in HOST:PID:ID, as of their last heartbeat, up to 5 s ago. " +
				"The user needs rights to the keys `asynq:servers*` and `asynq:workers:*`",
		},
		Workers: workers,
		Discover: func(backlog.Params) layout.Discovery {
			all := newRegistry("")
			all.QueueOf = func(member string) string { return strings.TrimPrefix(member, oldNames) }
			return layout.Discovery{Registry: all}
		},
		Prepare: func(q backlog.Query, _ layout.KeySearch) layout.Reader {
			return &queue{
				name:     q.Queue,
				withAge:  q.Params.Get("age") == "payload",
				params:   q.Params,
				registry: newRegistry(q.Queue),
			}
		},
	}
}

func newRegistry(queue string) *layout.Registry {
	return &layout.Registry{
		Framework: "asynq", Sets: []string{"asynq:queues"}, Member: queue, Queue: queue,
		QueueOf: func(member string) string { return member },
	}
}

// A queue asks for the counts of a queue, in the order in which tasks go through
// it, so that one on its way is counted twice rather than not at all.
type queue struct {
	name     string
	withAge  bool
	params   backlog.Params
	registry *layout.Registry
	// leaseless is since when there have been active tasks without a lease, and fewest
	// how many there were at least in all that time.
	leaseless layout.Streak
	fewest    int64
	// denied is when the server refused to read the list of asynq before 0.18; zero if it
	// did not.
	denied time.Time
}

// key returns the key of a part of the queue.
func (q *queue) key(part string) string { return q.oldKey() + ":" + part }

// oldKey returns the key of the list of pending tasks before asynq 0.18.
func (q *queue) oldKey() string { return "asynq:{" + q.name + "}" }

// JobCounters implements layout.JobCounter: workers count what they have processed (asynq 0.20
// and later).
func (q *queue) JobCounters() []string { return []string{q.key("processed")} }

// Commands implements layout.Reader.
func (q *queue) Commands(dst []resp.Command, now time.Time) []resp.Command {
	groups, sets, pending, active, paused := q.key("groups"), q.key("aggregation_sets"), q.key("pending"), q.key("active"), q.key("paused")
	dst = layout.ScheduleCommands(dst, q.key("scheduled"), layout.Seconds, now)
	dst = layout.ScheduleCommands(dst, q.key("retry"), layout.Seconds, now)
	dst = append(dst,
		resp.Command{Key: groups, KeyType: 's', Args: []any{"SCARD", groups}},
		resp.Command{Key: sets, KeyType: 'z', Args: []any{"ZCARD", sets}},
		resp.Command{Key: pending, KeyType: 'l', Args: []any{"LLEN", pending}},
		resp.Command{Key: active, KeyType: 'l', Args: []any{"LLEN", active}},
	)
	for _, part := range []string{"lease", "deadlines"} {
		// Each of their changes comes with one of the list.
		dst = append(dst, resp.Command{Key: q.key(part), Args: []any{"ZCARD", q.key(part)}})
	}
	dst = append(dst, resp.Command{Key: paused, KeyType: '$', Args: []any{"EXISTS", paused}})
	if q.withAge {
		dst = append(dst, resp.Command{Key: pending, KeyType: 'l', Args: []any{"LINDEX", pending, -1}})
	}
	if now.Sub(q.denied) >= deniedPause {
		dst = append(dst, resp.Command{Key: q.oldKey(), KeyType: 'l', Args: []any{"LLEN", q.oldKey()}})
	}
	return dst
}

// Read implements layout.Reader.
func (q *queue) Read(trips *layout.RoundTrips) (backlog.Reading, error) {
	c := trips.First()
	later := layout.ReadSchedule(c, layout.Seconds).Plus(layout.ReadSchedule(c, layout.Seconds))
	groups, aggregated := c.Count(), c.Count()
	r := backlog.Reading{Due: later.Due, NextDue: later.Next, Ready: c.Count()}
	active, leases := c.Count(), c.Count()+c.Count()
	r.Paused = c.Count() > 0
	next := ""
	if q.withAge {
		next, _ = c.Text()
	}
	old := q.takeOld(c, trips.Now())
	if c.Err() != nil {
		return r, c.Err()
	}
	r.Ready += old
	q.countInFlight(&r, active, aggregated, leases, trips.Now())
	r.Oldest = later.Age(r.Ready + groups)
	if groups > 0 || next != "" {
		err := q.askDetails(trips, &r, next, groups, old > 0)
		return r, err
	}
	if r.Backlog()+r.Ignored == 0 && later.Next.IsZero() {
		return q.askRegistry(trips, r)
	}
	return r, nil
}

// takeOld takes the length of the list of asynq before 0.18, if that was asked for. Rights
// for keys that begin with asynq:{QUEUE}: do not cover it, and are all that later
// versions need.
func (q *queue) takeOld(c *resp.Decoder, now time.Time) int64 {
	if c.Err() != nil || len(c.Rest()) == 0 {
		return 0
	}
	if !c.Allowed() {
		q.denied = now
		return 0
	}
	q.denied = time.Time{}
	return c.Count()
}

// countInFlight completes the reading with what is in flight: active tasks, if as many
// have a lease, and groups that are aggregated. The two numbers may disagree for a moment, and on a queue
// that is never at rest for longer, so the fewest without a lease count.
func (q *queue) countInFlight(r *backlog.Reading, active, aggregated, leases int64, now time.Time) {
	without := active - leases
	if q.leaseless.Since.IsZero() || without < q.fewest {
		q.fewest = without
	}
	since, orphaned := q.leaseless.Beyond(layout.OrphanGrace, without > 0, now)
	if !orphaned {
		r.InFlight = backlog.Exactly(active + aggregated)
		return
	}
	o := layout.NewOrphans(q.params)
	active += o.Add(q.fewest, since, now) - q.fewest
	r.InFlight = backlog.Exactly(active + aggregated)
	o.Mark(r, "active tasks have no lease, without which no worker recovers them")
}

// askRegistry asks whether asynq knows a queue in which there is nothing, and whether it is one
// of asynq before 0.12, whose keys are others.
func (q *queue) askRegistry(trips *layout.RoundTrips, empty backlog.Reading) (backlog.Reading, error) {
	const queues = "asynq:queues"
	commands := []resp.Command{{Key: queues, Args: []any{"SISMEMBER", queues, oldNames + q.name}}}
	c := trips.Ask(append(commands, q.registry.Commands()...)...)
	isOld := c.Next()
	r, err := q.registry.Conclude(trips, c, empty)
	if err != nil {
		return r, err
	}
	if n, err := isOld.Count(); r.Missing && err == nil && n > 0 {
		r.Missing, r.Hint = false, ""
		r.Ready, r.Quality = 1, backlog.LowerBound
		r.Warning = "the queue is one of asynq before 0.12, which keeps tasks in " + oldNames + q.name +
			" and in lists of all queues together: these are not read, so there may be work"
		return r, nil
	}
	if !q.denied.IsZero() {
		// The list of asynq before 0.18 could not be read.
		r.Quality = max(r.Quality, backlog.LowerBound)
		r.AddWarning("the server does not allow to read " + q.oldKey() + ", where asynq before 0.18 keeps pending tasks: the user needs the right to the keys " + q.oldKey() + "*")
	}
	return r, nil
}
