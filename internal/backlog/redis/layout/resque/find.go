package resque

import (
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// A findStep finds the queues of delayed jobs: one that never had another job is
// not in the registry. It asks for the moments that have come, and for the next one.
type findStep struct{ namespace string }

// Commands implements layout.Step.
func (s *findStep) Commands(dst []resp.Command, now time.Time) []resp.Command {
	key, limit := s.namespace+":delayed_queue_schedule", layout.Seconds.Due(now)
	return append(dst,
		resp.Command{Key: key, KeyType: 'z', Args: layout.ByScore(key, "-inf", limit, maxMoments, false)},
		resp.Command{Key: key, KeyType: 'z', Args: layout.ByScore(key, "("+limit, "+inf", 1, true)},
	)
}

// Outcome implements layout.Step.
func (s *findStep) Outcome(replies []resp.Reply, _ time.Time) layout.Outcome {
	c := resp.NewDecoder(replies)
	times, next := c.Strings(-1), c.Strings(-1)
	var found backlog.Reading
	if len(next) == 2 {
		// A member is the moment itself. Then there is another one to be looked at.
		times, found.NextDue = append(times, next[0]), layout.Seconds.Parse(c, next[1])
	}
	switch {
	case c.Err() != nil:
		return layout.Fail(c.Err())
	case len(times) == 0:
		return layout.Done(found)
	default:
		return layout.Outcome{Next: &findJobsStep{findStep: s, found: found, times: times}}
	}
}

// A findJobsStep asks for the jobs of these moments.
type findJobsStep struct {
	*findStep
	found backlog.Reading
	times []string
}

// Commands implements layout.Step.
func (s *findJobsStep) Commands(dst []resp.Command, _ time.Time) []resp.Command {
	for _, at := range s.times {
		key := s.namespace + ":delayed:" + at
		dst = append(dst, resp.Command{Key: key, Args: []any{"LRANGE", key, 0, maxJobs - 1}})
	}
	return dst
}

// Outcome implements layout.Step.
func (s *findJobsStep) Outcome(replies []resp.Reply, _ time.Time) layout.Outcome {
	c := resp.NewDecoder(replies)
	found := s.found
	for range s.times {
		for _, job := range c.Strings(-1) {
			if queue, known := layout.NamedQueue(job); known {
				found.Parts = append(found.Parts, backlog.Part{Queue: queue})
			}
		}
	}
	if c.Err() != nil {
		return layout.Fail(c.Err())
	}
	return layout.Done(found)
}
