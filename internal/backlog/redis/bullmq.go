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

// bullmqLayout is a queue of BullMQ 4 to 6 on Redis.
func bullmqLayout() layout {
	return layout{
		Layout: backlog.Layout{
			Name: "bullmq",
			Summary: "A queue of BullMQ 4 to 6 on Redis. Its global concurrency is the most replicas that can help. " +
				"Jobs that wait for their children are not backlog: the children are, in their own queues. " +
				"The user needs the rights of job frameworks on the keys of the queue, `PREFIX:QUEUE:*`.",
			Queue:    "name of the queue",
			Patterns: scanned("keys PREFIX:*:meta"),
			Parameters: []backlog.Parameter{
				{Name: "prefix", Kind: backlog.KindText, Default: "bull", Doc: "The option prefix of the queue, with its braces if it has any, such as {bull}."},
				{Name: "age", Kind: backlog.KindChoice, Allowed: []string{"none", "payload"}, Default: "none", Doc: "Whether to read when the next jobs were added. It takes one more round trip, and reads that one field of their hashes."},
			},
			Ready:    "jobs that wait, prioritized ones and those of a paused queue included",
			Due:      "delayed and retried jobs whose time has come, and which only a worker would promote",
			InFlight: "active jobs, those of workers that are gone included",
			Oldest: "with age payload: when the job at the end of the queue was added, exact if jobs are taken in order and a lower bound with priorities or lifo; " +
				"else since when the first delayed job has been due, a lower bound if other jobs wait",
		},
		discover: func(p backlog.Params) discovery {
			return discovery{traces: []trace{{kind: "hash", prefix: bullmqPrefix(p) + ":", fixed: ":", suffix: ":meta"}}}
		},
		prepare: func(q backlog.Query, _ keySearch) step {
			prefix := bullmqPrefix(q.Params)
			return &bullmqStep{prefix: prefix, queue: q.Queue, withAge: q.Params.Get("age") == "payload"}
		},
	}
}

func bullmqPrefix(p backlog.Params) string { return cmp.Or(p.Get("prefix"), "bull") }

// A bullmqStep asks for the counts of a queue and for what its meta says. The order
// is that in which jobs go through the queue, so that one on its way is counted twice
// rather than not at all.
type bullmqStep struct {
	prefix, queue string
	withAge       bool
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
	prioritized, active, meta := s.key("prioritized"), s.key("active"), s.key("meta")
	dst = append(dst, command{key: prioritized, class: 'z', args: []any{"ZCARD", prioritized}})
	if s.withAge {
		dst = append(dst, command{key: prioritized, class: 'z', args: []any{"ZRANGE", prioritized, 0, 0}})
	}
	return append(dst,
		command{key: active, class: 'l', args: []any{"LLEN", active}},
		command{key: meta, class: 'h', args: []any{"HMGET", meta, "paused", "concurrency"}},
		command{key: meta, class: 'h', args: []any{"EXISTS", meta}},
	)
}

func (s *bullmqStep) outcome(replies []reply, _ time.Time) outcome {
	c := &counts{replies: replies}
	later := c.delayed(bullmqClock)
	ready, ids := c.bullmqList(s.withAge)
	paused, pausedIDs := c.bullmqList(s.withAge)
	prioritized := c.number()
	if s.withAge {
		ids = append(append(ids, pausedIDs...), c.texts(-1)...)
	}
	active := c.number()
	options := c.texts(2)
	exists := c.number() > 0
	if c.err != nil {
		return fail(c.err)
	}
	limit, nothing, err := bullmqConcurrency(options[1])
	if err != nil {
		return fail(err)
	}
	r := backlog.Reading{
		Ready:     ready + paused + prioritized,
		Due:       later.due,
		InFlight:  backlog.Exactly(active),
		NextDue:   later.next,
		Paused:    options[0] != "" || nothing,
		MaxUseful: limit,
	}
	r.Oldest = later.age(r.Ready)
	if r.Backlog() == 0 && !exists && later.next.IsZero() {
		r.Missing = true
		r.Warning = fmt.Sprintf("there is no BullMQ queue %q with the prefix %q yet; its producer makes it", s.queue, s.prefix)
	}
	if s.withAge && len(ids) > 0 {
		return outcome{next: &bullmqAgeStep{bullmqStep: s, reading: r, ids: ids, inOrder: prioritized == 0}}
	}
	return done(r)
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

// A bullmqAgeStep asks when the jobs were added that stand at the ends of the queue.
type bullmqAgeStep struct {
	*bullmqStep
	reading backlog.Reading
	// ids are those of the first and the last job of a list, and of the next
	// prioritized one. A worker takes the last.
	ids     []string
	inOrder bool
}

func (s *bullmqAgeStep) commands(dst []command, _ time.Time) []command {
	for _, id := range s.ids {
		key := s.key(id)
		dst = append(dst, command{key: key, args: []any{"HGET", key, "timestamp"}})
	}
	return dst
}

func (s *bullmqAgeStep) outcome(replies []reply, _ time.Time) outcome {
	c := &counts{replies: replies}
	var oldest, last time.Time
	for range s.ids {
		// A job may have been removed between the two round trips.
		text, found := c.text()
		if !found {
			continue
		}
		ms, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return fail(fmt.Errorf("%w: %q where the timestamp of a job belongs", errReply, text))
		}
		last = clockMilliseconds.time(ms)
		oldest = earlier(oldest, last)
	}
	if c.err != nil {
		return fail(c.err)
	}
	r := s.reading
	if since := earlier(oldest, r.Oldest.Since); !since.IsZero() {
		r.Oldest = backlog.Age{Since: since, Kind: backlog.AgeLowerBound}
		if s.inOrder && oldest.Equal(last) && since.Equal(oldest) {
			r.Oldest.Kind = backlog.AgeExact
		}
	}
	return done(r)
}
