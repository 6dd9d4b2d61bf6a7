package redis

import (
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// A resqueFindStep finds the queues of delayed jobs: one that never had another job is
// not in the registry. It asks for the moments that have come, and for the next one.
type resqueFindStep struct{ namespace string }

func (s *resqueFindStep) commands(dst []command, now time.Time) []command {
	key, limit := s.namespace+":delayed_queue_schedule", clockSeconds.due(now)
	return append(dst,
		command{key: key, class: 'z', args: byScore(key, "-inf", limit, resqueTimes, false)},
		command{key: key, class: 'z', args: byScore(key, "("+limit, "+inf", 1, true)},
	)
}

func (s *resqueFindStep) outcome(replies []reply, _ time.Time) outcome {
	c := &counts{replies: replies}
	times, next := c.texts(-1), c.texts(-1)
	var found backlog.Reading
	if len(next) == 2 {
		// A member is the moment itself. Then there is another one to be looked at.
		times, found.NextDue = append(times, next[0]), c.timeOf(next[1])
	}
	switch {
	case c.err != nil:
		return fail(c.err)
	case len(times) == 0:
		return done(found)
	default:
		return outcome{next: &resqueFindJobsStep{resqueFindStep: s, found: found, times: times}}
	}
}

// A resqueFindJobsStep asks for the jobs of these moments.
type resqueFindJobsStep struct {
	*resqueFindStep
	found backlog.Reading
	times []string
}

func (s *resqueFindJobsStep) commands(dst []command, _ time.Time) []command {
	for _, at := range s.times {
		key := s.namespace + ":delayed:" + at
		dst = append(dst, command{key: key, args: []any{"LRANGE", key, 0, resqueJobs - 1}})
	}
	return dst
}

func (s *resqueFindJobsStep) outcome(replies []reply, _ time.Time) outcome {
	c := &counts{replies: replies}
	found := s.found
	for range s.times {
		for _, job := range c.texts(-1) {
			if queue, known := namedQueue(job); known {
				found.Parts = append(found.Parts, backlog.Part{Queue: queue})
			}
		}
	}
	if c.err != nil {
		return fail(c.err)
	}
	return done(found)
}
