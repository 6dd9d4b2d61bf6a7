package redis

import (
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// A resqueFindStep finds the queues of delayed jobs: one that never had another job is
// not in the registry. It asks for the moments that have come, and for the next one.
type resqueFindStep struct{ namespace string }

func (s *resqueFindStep) commands(dst []resp.Command, now time.Time) []resp.Command {
	key, limit := s.namespace+":delayed_queue_schedule", clockSeconds.due(now)
	return append(dst,
		resp.Command{Key: key, KeyType: 'z', Args: byScore(key, "-inf", limit, resqueTimes, false)},
		resp.Command{Key: key, KeyType: 'z', Args: byScore(key, "("+limit, "+inf", 1, true)},
	)
}

func (s *resqueFindStep) outcome(replies []resp.Reply, _ time.Time) outcome {
	c := resp.NewDecoder(replies)
	times, next := c.Strings(-1), c.Strings(-1)
	var found backlog.Reading
	if len(next) == 2 {
		// A member is the moment itself. Then there is another one to be looked at.
		times, found.NextDue = append(times, next[0]), timeOf(c, next[1])
	}
	switch {
	case c.Err() != nil:
		return fail(c.Err())
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

func (s *resqueFindJobsStep) commands(dst []resp.Command, _ time.Time) []resp.Command {
	for _, at := range s.times {
		key := s.namespace + ":delayed:" + at
		dst = append(dst, resp.Command{Key: key, Args: []any{"LRANGE", key, 0, resqueJobs - 1}})
	}
	return dst
}

func (s *resqueFindJobsStep) outcome(replies []resp.Reply, _ time.Time) outcome {
	c := resp.NewDecoder(replies)
	found := s.found
	for range s.times {
		for _, job := range c.Strings(-1) {
			if queue, known := namedQueue(job); known {
				found.Parts = append(found.Parts, backlog.Part{Queue: queue})
			}
		}
	}
	if c.Err() != nil {
		return fail(c.Err())
	}
	return done(found)
}
