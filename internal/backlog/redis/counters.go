package redis

import (
	"slices"
	"strconv"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// A tally is the counters of a query as they were when they were last asked for.
type tally struct {
	keys []string
	sum  backlog.Count
	// incomparable reports that the sum is not to be compared with the one before.
	incomparable bool
}

// appendCounters appends the commands for the counters of a query. Only a recheck asks for
// them: work may have passed only where a queue without work was disturbed.
func (p *pendingQuery) appendCounters(dst []resp.Command) []resp.Command {
	p.counters = 0
	for _, key := range jobCounters(p.plan.first) {
		dst = append(dst, resp.Command{Key: key, Args: []any{"GET", key}})
		p.counters++
	}
	return dst
}

// jobCounters returns the keys of the counters of a query, given its first step.
func jobCounters(first step) []string {
	if c, counts := first.(layout.JobCounter); counts {
		return c.JobCounters()
	}
	return nil
}

// takeCounters takes the replies to the commands of appendCounters, and returns the others. A
// counter that is not there is zero. With one that may not be read the sum is unknown.
func (p *pendingQuery) takeCounters(replies []resp.Reply) []resp.Reply {
	if p.counters == 0 {
		return replies
	}
	rest := replies[:len(replies)-int(p.counters)]
	c := resp.NewDecoder(replies[len(rest):])
	p.counters = 0
	sum := backlog.Exactly(0)
	for len(c.Rest()) > 0 {
		value, found := c.Text()
		n, err := strconv.ParseInt(value, 10, 64)
		sum.N += n
		sum.Known = sum.Known && (!found || err == nil)
	}
	sum.Known = sum.Known && c.Err() == nil
	t := &p.plan.tally
	keys := jobCounters(p.plan.first)
	// Of other queues, or of counters that were deleted, the sum says nothing.
	t.incomparable = !slices.Equal(t.keys, keys) || sum.N < t.sum.N
	t.keys, t.sum = keys, sum
	return rest
}

// complete sets Reading.Passed: the same as before where the counters were not asked for.
func (t *tally) complete(r *backlog.Reading) {
	if !t.incomparable && len(t.keys) > 0 {
		r.Passed = t.sum
	}
	t.incomparable = false
}
