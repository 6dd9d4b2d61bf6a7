package redis

import (
	"fmt"
	"strconv"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// asynqGroups is how many groups of a queue are looked into.
const asynqGroups = 100

// asynqLayout is a queue of asynq.
func asynqLayout() layout {
	return layout{
		Layout: backlog.Layout{
			Name: "asynq",
			Summary: "A queue of asynq. The user needs the rights of job frameworks on the keys of the queue, `asynq:{QUEUE}:*`, and on `asynq:queues`, " +
				"the names of all queues.",
			Queue:    "name of the queue, such as default",
			Patterns: registered("set asynq:queues"),
			Parameters: []backlog.Parameter{
				{Name: "age", Kind: backlog.KindChoice, Allowed: []string{"none", "payload"}, Default: "none", Doc: "Whether to read since when the next task has been pending. It takes one more round trip, and reads that one field of its hash."},
			},
			Ready: "pending tasks",
			Due: "scheduled and retried tasks whose time has come, and tasks that wait in groups: only a worker would forward or aggregate them. " +
				"Of a queue with more than 100 groups, 100 are counted and each other one counts as one task, which is a lower bound",
			InFlight: "active tasks, those of workers that are gone included, and one for each group that is being aggregated",
			Oldest:   "exact with age payload: since when the next task has been pending; else since when the first scheduled or retried task has been due, a lower bound if others wait",
		},
		discover: func(backlog.Params) discovery { return discovery{registry: asynqRegistry("")} },
		prepare: func(q backlog.Query, _ keySearch) step {
			return &asynqStep{
				queue:    q.Queue,
				withAge:  q.Params.Get("age") == "payload",
				registry: asynqRegistry(q.Queue),
			}
		},
	}
}

func asynqRegistry(queue string) *registry {
	return &registry{
		framework: "asynq", sets: []string{"asynq:queues"}, member: queue, queue: queue,
		name: func(member string) string { return member },
	}
}

// An asynqStep asks for the counts of a queue, in the order in which tasks go through
// it, so that one on its way is counted twice rather than not at all.
type asynqStep struct {
	queue    string
	withAge  bool
	registry *registry
}

// key returns the key of a part of the queue.
func (s *asynqStep) key(part string) string { return "asynq:{" + s.queue + "}:" + part }

func (s *asynqStep) commands(dst []command, now time.Time) []command {
	groups, sets, pending, active, paused := s.key("groups"), s.key("aggregation_sets"), s.key("pending"), s.key("active"), s.key("paused")
	dst = delayed(dst, s.key("scheduled"), clockSeconds, now)
	dst = delayed(dst, s.key("retry"), clockSeconds, now)
	dst = append(dst,
		command{key: groups, class: 's', args: []any{"SCARD", groups}},
		command{key: sets, class: 'z', args: []any{"ZCARD", sets}},
		command{key: pending, class: 'l', args: []any{"LLEN", pending}},
		command{key: active, class: 'l', args: []any{"LLEN", active}},
		command{key: paused, class: '$', args: []any{"EXISTS", paused}},
	)
	if s.withAge {
		dst = append(dst, command{key: pending, class: 'l', args: []any{"LINDEX", pending, -1}})
	}
	return dst
}

func (s *asynqStep) outcome(replies []reply, _ time.Time) outcome {
	c := &counts{replies: replies}
	later := c.delayed(clockSeconds).and(c.delayed(clockSeconds))
	groups, aggregated := c.number(), c.number()
	r := backlog.Reading{
		Due:      later.due,
		NextDue:  later.next,
		Ready:    c.number(),
		InFlight: backlog.Exactly(c.number() + aggregated),
		Paused:   c.number() > 0,
	}
	next := ""
	if s.withAge {
		next, _ = c.text()
	}
	if c.err != nil {
		return fail(c.err)
	}
	r.Oldest = later.age(r.Ready + groups)
	switch {
	case groups > 0 || next != "":
		return outcome{next: &asynqDetailStep{asynqStep: s, reading: r, groups: groups, next: next}}
	case r.Backlog() == 0 && later.next.IsZero():
		return s.registry.ask(r)
	default:
		return done(r)
	}
}

// An asynqDetailStep asks for the names of groups, and since when the next task has
// been pending.
type asynqDetailStep struct {
	*asynqStep
	reading backlog.Reading
	groups  int64
	next    string // id of the next task; empty if not to be asked for
}

func (s *asynqDetailStep) commands(dst []command, _ time.Time) []command {
	if s.next != "" {
		task := s.key("t:" + s.next)
		dst = append(dst, command{key: task, args: []any{"HGET", task, "pending_since"}})
	}
	if s.groups > 0 {
		groups := s.key("groups")
		dst = append(dst, command{key: groups, args: []any{"SRANDMEMBER", groups, asynqGroups}})
	}
	return dst
}

func (s *asynqDetailStep) outcome(replies []reply, _ time.Time) outcome {
	c := &counts{replies: replies}
	r := s.reading
	if s.next != "" {
		since, err := c.pendingSince()
		if err != nil {
			return fail(err)
		}
		if !since.IsZero() {
			r.Oldest = backlog.Age{Since: earlier(since, r.Oldest.Since), Kind: backlog.AgeExact}
			if s.groups > 0 {
				r.Oldest.Kind = backlog.AgeLowerBound
			}
		}
	}
	if s.groups == 0 {
		return done(r)
	}
	names := c.texts(-1)
	if c.err != nil {
		return fail(c.err)
	}
	if len(names) == 0 {
		// They went to be aggregated between the two round trips.
		r.Due += s.groups
		r.Quality = backlog.LowerBound
		return done(r)
	}
	return outcome{next: &asynqGroupsStep{asynqStep: s.asynqStep, reading: r, names: names, more: max(0, s.groups-int64(len(names)))}}
}

// pendingSince takes the reply that tells since when a task has been pending; zero if
// it was taken in the meantime, or was given back by a worker, which leaves no time.
func (c *counts) pendingSince() (time.Time, error) {
	text, found := c.text()
	if c.err != nil || !found {
		return time.Time{}, c.err
	}
	ns, err := strconv.ParseInt(text, 10, 64)
	if err != nil || ns <= 0 {
		return time.Time{}, fmt.Errorf("%w: %q where a time in nanoseconds belongs", errReply, text)
	}
	return time.Unix(0, ns), nil
}

// An asynqGroupsStep counts the tasks that wait in groups.
type asynqGroupsStep struct {
	*asynqStep
	reading backlog.Reading
	names   []string
	more    int64 // groups beyond these
}

func (s *asynqGroupsStep) commands(dst []command, _ time.Time) []command {
	for _, name := range s.names {
		group := s.key("g:" + name)
		dst = append(dst, command{key: group, args: []any{"ZCARD", group}})
	}
	return dst
}

func (s *asynqGroupsStep) outcome(replies []reply, _ time.Time) outcome {
	c := &counts{replies: replies}
	r := s.reading
	more := s.more
	for range s.names {
		n := c.number()
		if n == 0 {
			// It went to be aggregated after these sets were counted.
			more++
		}
		r.Due += n
	}
	if c.err != nil {
		return fail(c.err)
	}
	if more > 0 {
		r.Due += more
		r.Quality = backlog.LowerBound
	}
	return done(r)
}
