package redis

import (
	"slices"
	"strconv"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// A tally is what the counters of a query were when they were last asked for.
type tally struct {
	keys []string
	sum  backlog.Count
	// broken says that the sum is not to be compared with the one before.
	broken bool
}

// askCounters appends what asks for the counters of a query. That is part of a second look
// alone: only where a queue without work was disturbed may work have passed.
func (j *job) askCounters(dst []resp.Command) []resp.Command {
	j.counters = 0
	c, counts := j.plan.first.(layout.JobCounter)
	if !counts {
		return dst
	}
	for _, key := range c.JobCounters() {
		dst = append(dst, resp.Command{Key: key, Args: []any{"GET", key}})
		j.counters++
	}
	return dst
}

// takeCounters takes the replies to what askCounters has asked, and returns the others. A
// counter that is not there is zero; one that may not be read tells nothing.
func (j *job) takeCounters(replies []resp.Reply) []resp.Reply {
	if j.counters == 0 {
		return replies
	}
	rest := replies[:len(replies)-int(j.counters)]
	c := resp.NewDecoder(replies[len(rest):])
	j.counters = 0
	sum := backlog.Exactly(0)
	for len(c.Rest()) > 0 {
		value, found := c.Text()
		n, err := strconv.ParseInt(value, 10, 64)
		sum.N += n
		sum.Known = sum.Known && (!found || err == nil)
	}
	sum.Known = sum.Known && c.Err() == nil
	t := &j.plan.tally
	keys := j.plan.first.(layout.JobCounter).JobCounters() //nolint:errcheck // it was asked for them
	// Of other queues, or of counters that were deleted, the sum says nothing.
	t.broken = !slices.Equal(t.keys, keys) || sum.N < t.sum.N
	t.keys, t.sum = keys, sum
	return rest
}

// complete sets what a reading says of work that passed: nothing new where the counters
// were not asked for.
func (t *tally) complete(r *backlog.Reading) {
	if !t.broken && len(t.keys) > 0 {
		r.Passed = t.sum
	}
	t.broken = false
}
