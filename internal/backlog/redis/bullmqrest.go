package redis

import (
	"fmt"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

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
	facts bullmqFacts
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
	since, orphaned := s.unmoved.beyondGrace(n == 0, now)
	if !orphaned {
		return done(*r)
	}
	o := newOrphans(s.params)
	if r.Due = o.add(r.Due, since, now); r.Due == 0 {
		r.Oldest = backlog.Age{}
	}
	o.mark(r, "delayed jobs are due, and no process moves them: the key "+s.key("stalled-check")+
		", which workers (in BullMQ 1 the QueueScheduler) renew, is not there")
	return done(*r)
}
