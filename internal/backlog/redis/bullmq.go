package redis

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// bullmqClock is that of the delayed jobs of BullMQ: 4096 of them may fall into one
// millisecond and stay in order.
const bullmqClock clock = 4096

// bullmqLayout is a queue of BullMQ, or of Bull, whose keys are the same. The life of a
// job in these keys is that of the scripts of both:
//
//		https://github.com/taskforcesh/bullmq/tree/master/src/commands
//		https://github.com/OptimalBits/bull/tree/develop/lib/commands
//
//	 1. It is pushed to wait (paused while the queue is paused, but for BullMQ 6), added
//	    to prioritized if it has a priority (BullMQ 4 and later; before, and in Bull, it is
//	    in wait at its place), or added to delayed. With a group of BullMQ Pro it is pushed
//	    to groups:GROUP instead.
//	 2. A worker, or the QueueScheduler of BullMQ 1, moves it from delayed when it is due.
//	 3. A worker moves it to active.
//	 4. A worker moves it to completed, failed or, for a retry, to delayed. If the worker
//	    is gone the check for stalled jobs of another one moves it to wait.
func bullmqLayout() layout {
	return layout{
		Layout: backlog.Layout{
			Name: "bullmq",
			Summary: "A queue of BullMQ 1 to 6 on Redis, or of the older Bull 3 and 4 (the package bull), whose keys are the same. " +
				"Its global concurrency is the most replicas that can help. " +
				"Jobs that wait for their children are not backlog: the children are, in their own queues. " +
				"Jobs in groups of BullMQ Pro are counted as a lower bound, with a warning. " +
				"The user needs the rights of job frameworks on the keys of the queue, `PREFIX:QUEUE:*`.",
			Queue:    "name of the queue",
			Patterns: scanned("keys PREFIX:*:wait, active, paused, delayed, prioritized, meta and id"),
			Parameters: []backlog.Parameter{
				{Name: "prefix", Kind: backlog.KindText, Default: "bull", Doc: "The option prefix of the queue, with its braces if it has any, such as {bull}."},
				{Name: "age", Kind: backlog.KindChoice, Allowed: []string{"none", "payload"}, Default: "none", Doc: "Whether to read when the next jobs were added. It takes one more round trip, and reads that one field of their hashes."},
				orphanParameter("delayed jobs that are due while there is no other work and no process that moves them, which is a worker that looks for stalled jobs, or the QueueScheduler of BullMQ 1; and jobs on the list paused of a queue that is not paused"),
			},
			Ready:    "jobs that wait, prioritized ones and those of a paused queue included",
			Due:      "delayed and retried jobs whose time has come, and which only a worker would promote",
			InFlight: "active jobs, those of workers that are gone included",
			Oldest: "with age payload: when the job at the end of the queue was added, exact if jobs are taken in order and a lower bound with priorities or lifo; " +
				"else since when the first delayed job has been due, a lower bound if other jobs wait",
		},
		discover: func(p backlog.Params) discovery {
			work := bullmqTraces(bullmqPrefix(p) + ":")
			// Counters of other programs end like that too.
			id := trace{kind: "string", prefix: bullmqPrefix(p) + ":", fixed: ":", suffix: ":id"}
			return discovery{traces: append(work, id), elsewhere: work}
		},
		prepare: func(q backlog.Query, _ keySearch) step {
			prefix := bullmqPrefix(q.Params)
			return &bullmqStep{prefix: prefix, queue: q.Queue, withAge: q.Params.Get("age") == "payload", params: q.Params}
		},
	}
}

func bullmqPrefix(p backlog.Params) string { return cmp.Or(p.Get("prefix"), "bull") }

// bullmqTraces are the kinds of keys that hold jobs, and the hash meta, which Bull writes
// only when a queue is paused. The hashes of jobs are of the same kind as meta, and the
// settings of a group of BullMQ Pro even have its name.
func bullmqTraces(prefix string) []trace {
	return []trace{
		{kind: "list", prefix: prefix, fixed: ":", suffixes: []string{":wait", ":active", ":paused"}},
		{kind: "zset", prefix: prefix, fixed: ":", suffixes: []string{":delayed", ":prioritized"}},
		{kind: "hash", prefix: prefix, fixed: ":", suffix: ":meta", within: ":groups:"},
	}
}

// A bullmqStep asks for the counts of a queue and for what its meta says. The order
// is that in which jobs go through the queue, so that one on its way is counted twice
// rather than not at all.
type bullmqStep struct {
	prefix, queue string
	withAge       bool
	params        backlog.Params
	// left is since when there have been jobs on the list paused of a queue that is not
	// paused, and unmoved since when there have been due jobs that nothing moves.
	left, unmoved lasting
}

// key returns the key of a part of the queue.
func (s *bullmqStep) key(part string) string { return s.prefix + ":" + s.queue + ":" + part }

func (s *bullmqStep) commands(dst []command, now time.Time) []command {
	dst = delayed(dst, s.key("delayed"), bullmqClock, now)
	for _, part := range []string{"wait", "paused"} {
		key := s.key(part)
		// An element is the id of a job and holds no payload.
		dst = append(dst,
			command{key: key, class: 'l', args: []any{"LLEN", key}},
			command{key: key, class: 'l', args: []any{"LINDEX", key, -1}},
		)
		if s.withAge {
			dst = append(dst, command{key: key, class: 'l', args: []any{"LINDEX", key, 0}})
		}
	}
	prioritized, active, meta, flag := s.key("prioritized"), s.key("active"), s.key("meta"), s.key("meta-paused")
	dst = append(dst, command{key: prioritized, class: 'z', args: []any{"ZCARD", prioritized}})
	if s.withAge {
		priority := s.key("priority")
		dst = append(dst,
			command{key: prioritized, class: 'z', args: []any{"ZRANGE", prioritized, 0, 0}},
			// Where Bull, and BullMQ before 4, keep the order of prioritized jobs in wait.
			command{key: priority, args: []any{"ZCARD", priority}},
		)
	}
	for _, set := range bullmqGroupSets() {
		dst = append(dst, command{key: s.key(set), class: 'z', args: []any{"ZCARD", s.key(set)}})
	}
	return append(dst,
		command{key: active, class: 'l', args: []any{"LLEN", active}},
		command{key: meta, class: 'h', args: []any{"HMGET", meta, "paused", "concurrency", "opts.maxLenEvents"}},
		command{key: flag, class: '$', args: []any{"EXISTS", flag}},
	)
}

func (s *bullmqStep) outcome(replies []reply, now time.Time) outcome {
	c := &counts{replies: replies}
	f := s.facts(c)
	if c.err != nil {
		return fail(c.err)
	}
	limit, nothing, err := bullmqConcurrency(f.concurrency)
	if err != nil {
		return fail(err)
	}
	f.reading.MaxUseful = limit
	s.pause(f, nothing, now)
	if f.groups > 0 {
		return outcome{next: &bullmqGroupsStep{bullmqStep: s, facts: f}}
	}
	return s.next(f, now)
}

// bullmqFacts are what a bullmqStep has read.
type bullmqFacts struct {
	reading backlog.Reading
	// wait and paused are how many jobs are on these lists.
	wait, paused int64
	// groups is how many groups of BullMQ Pro have jobs that wait.
	groups int64
	// ids are those of the jobs at the ends of the lists, and of the next prioritized
	// one; inOrder says that a worker takes the oldest first, but for lifo.
	ids     []string
	inOrder bool
	// concurrency is what meta says of it.
	concurrency string
	// isPaused is what meta says. isBullPaused is what Bull says, which writes nothing
	// else into meta.
	isPaused, isBullPaused bool
	// isBullMQ says that meta was written by BullMQ.
	isBullMQ bool
}

// facts takes the replies.
func (s *bullmqStep) facts(c *counts) *bullmqFacts {
	f := &bullmqFacts{inOrder: true}
	later := c.delayed(bullmqClock)
	var pausedIDs []string
	f.wait, f.ids = c.bullmqList(s.withAge)
	f.paused, pausedIDs = c.bullmqList(s.withAge)
	prioritized := c.number()
	if s.withAge {
		f.ids = append(append(f.ids, pausedIDs...), c.texts(-1)...)
		f.inOrder = prioritized == 0
		f.inOrder = c.number() == 0 && f.inOrder
	}
	for range bullmqGroupSets() {
		f.groups += c.number()
	}
	active := c.number()
	meta := c.texts(3)
	f.isPaused, f.concurrency, f.isBullMQ = meta[0] != "", meta[1], meta[2] != ""
	f.isBullPaused = c.number() > 0 && !f.isBullMQ
	f.reading = backlog.Reading{
		Ready: f.wait + f.paused + prioritized, Due: later.due, InFlight: backlog.Exactly(active), NextDue: later.next,
	}
	f.reading.Oldest = later.age(f.reading.Ready + f.groups)
	return f
}

// pause completes the reading with whether the queue is paused. While Bull's is, nothing
// is taken from the list paused, but what is on wait still is: a job that Bull 3.0 has
// delayed comes to it. Of a queue that is not paused, nothing is taken from the list
// paused either: resuming renames it, but BullMQ 6 resumes a queue that an older version
// has paused by 7000 jobs at once.
func (s *bullmqStep) pause(f *bullmqFacts, nothing bool, now time.Time) {
	r := &f.reading
	r.Paused = f.isPaused || f.isBullPaused || nothing
	if f.isBullPaused && f.wait > 0 {
		r.Paused = false
		r.Ready -= f.paused
		return
	}
	o := newOrphans(s.params)
	if since, orphaned := s.left.beyondGrace(f.paused > 0 && !r.Paused, now); orphaned {
		r.Ready += o.add(f.paused, since, now) - f.paused
	}
	o.mark(r, "the queue is not paused, but there are jobs on its list "+s.key("paused")+", which nothing takes until the queue is resumed once more")
}

// next returns the reading, or the step that completes it.
func (s *bullmqStep) next(f *bullmqFacts, now time.Time) outcome {
	r := f.reading
	// The time without a process that moves jobs ends with the jobs.
	alone := r.Due > 0 && r.Due == r.Backlog() && !r.Paused
	if !alone {
		s.unmoved.note(false, now)
	}
	switch {
	case alone:
		return outcome{next: &bullmqMoverStep{bullmqStep: s, facts: f}}
	case s.withAge && len(f.ids) > 0:
		return outcome{next: &bullmqAgeStep{bullmqStep: s, reading: r, ids: f.ids, inOrder: f.inOrder}}
	case r.Backlog()+r.Ignored == 0 && r.NextDue.IsZero() && !f.isBullMQ:
		return outcome{next: &bullmqTraceStep{bullmqStep: s, reading: r}}
	default:
		return done(r)
	}
}

// bullmqList takes the replies that tell of a list of ids, and returns how many jobs
// it has and, if asked for, the ids at its ends, the next one last. BullMQ 4 left a
// marker at that end of the list, for workers that wait for a delayed job: it is none.
func (c *counts) bullmqList(withEnds bool) (n int64, ends []string) {
	n = c.number()
	next, _ := c.text()
	if strings.HasPrefix(next, "0:") {
		n = max(0, n-1)
	}
	if !withEnds {
		return n, nil
	}
	last, _ := c.text()
	for _, id := range []string{last, next} {
		if id != "" && !strings.HasPrefix(id, "0:") {
			ends = append(ends, id)
		}
	}
	return n, ends
}

// bullmqConcurrency parses the number of jobs that all workers together may work on,
// 0 if there is no limit. A limit below 1 hands out nothing, like a pause.
func bullmqConcurrency(text string) (limit int64, nothing bool, err error) {
	if text == "" {
		return 0, false, nil
	}
	n, err := strconv.ParseFloat(text, 64)
	switch {
	case err != nil || math.IsNaN(n):
		return 0, false, fmt.Errorf("%w: %q where the concurrency of a queue belongs", errReply, text)
	case n <= 0:
		return 0, true, nil
	case n > math.MaxInt32:
		return 0, false, nil
	default:
		return int64(math.Ceil(n)), false, nil
	}
}

// A bullmqTraceStep looks for what an empty queue keeps of its past: meta, which BullMQ
// writes when the queue is opened, and the counter of ids, which Bull writes with the
// first job.
type bullmqTraceStep struct {
	*bullmqStep
	reading backlog.Reading
}

func (s *bullmqTraceStep) commands(dst []command, _ time.Time) []command {
	for _, part := range []string{"meta", "id"} {
		dst = append(dst, command{key: s.key(part), args: []any{"EXISTS", s.key(part)}})
	}
	return dst
}

func (s *bullmqTraceStep) outcome(replies []reply, _ time.Time) outcome {
	c := &counts{replies: replies}
	traces := c.number() + c.number()
	if c.err != nil {
		return fail(c.err)
	}
	r := s.reading
	if traces == 0 {
		r.Missing = true
		r.AddWarning(fmt.Sprintf("there is no BullMQ queue %q with the prefix %q yet; its producer makes it", s.queue, s.prefix))
	}
	return done(r)
}

// A bullmqMoverStep asks whether there is a process that moves due jobs. The only sign
// of one is the key that each check for stalled jobs writes, for as long as it is until
// the next: half a minute by default. Workers check, unless told not to, and in BullMQ 1
// its QueueScheduler does. Jobs that a worker without the check would move are moved
// before the key is missed for long.
type bullmqMoverStep struct {
	*bullmqStep
	facts *bullmqFacts
}

func (s *bullmqMoverStep) commands(dst []command, _ time.Time) []command {
	key := s.key("stalled-check")
	return append(dst, command{key: key, args: []any{"EXISTS", key}})
}

func (s *bullmqMoverStep) outcome(replies []reply, now time.Time) outcome {
	n, err := replies[0].count()
	if err != nil {
		return fail(err)
	}
	r := &s.facts.reading
	o := newOrphans(s.params)
	if since, orphaned := s.unmoved.beyondGrace(n == 0, now); orphaned {
		r.Due = o.add(r.Due, since, now)
	}
	o.mark(r, "delayed jobs are due, and no process moves them: the key "+s.key("stalled-check")+
		", which workers (in BullMQ 1 the QueueScheduler) renew, is not there")
	return done(*r)
}
