package celery

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// An unackedStep looks at unacknowledged messages.
type unackedStep struct {
	*queueStep
	reading backlog.Reading
	// total is the number of unacknowledged messages of all queues.
	total int64
	// check says that some of them are not in the index.
	check bool
}

// Commands implements layout.Step.
func (s *unackedStep) Commands(dst []resp.Command, _ time.Time) []resp.Command {
	dst = append(dst, resp.Command{Key: s.unacked, Args: []any{"HRANDFIELD", s.unacked, sampleSize, "WITHVALUES"}})
	if s.check {
		// Last, because what is added in between is in the index only.
		dst = append(dst, resp.Command{Key: s.index, Args: []any{"ZRANGE", s.index, 0, 2 * sampleSize}})
	}
	return dst
}

// Outcome implements layout.Step.
func (s *unackedStep) Outcome(replies []resp.Reply, now time.Time) layout.Outcome {
	if replies[0].IsDenied() {
		return layout.Done(s.all(replies[0].Denial("HRANDFIELD", 6, 2)))
	}
	c := resp.NewDecoder(replies)
	pairs := c.Strings(-1)
	if len(pairs)%2 != 0 {
		c.Fail(fmt.Errorf("%w: %d elements where names and values belong", resp.ErrReply, len(pairs)))
	}
	if s.check {
		s.noteLost(pairs, c.Strings(-1), now)
	}
	if c.Err() != nil {
		return layout.Fail(c.Err())
	}
	sample := newClaimed(pairs, s.lost)
	sample.partial = sample.looked >= sampleSize && s.total > sample.looked
	if len(sample.exchanges) == 0 {
		return s.conclude(sample, nil, now)
	}
	return layout.Outcome{Next: &bindingsStep{unackedStep: s, claimed: sample}}
}

// noteLost notes which messages are not in the index. Both are changed together, so that
// a message is in one alone only while it is acknowledged between two commands.
func (s *unackedStep) noteLost(pairs, index []string, now time.Time) {
	if len(index) > 2*sampleSize {
		// Not all of it was read.
		s.lost = nil
		return
	}
	indexed := make(map[string]bool, len(index))
	for _, tag := range index {
		indexed[tag] = true
	}
	lost := make(map[string]time.Time)
	for i := 0; i < len(pairs); i += 2 {
		if tag := pairs[i]; !indexed[tag] {
			lost[tag] = layout.Earlier(s.lost[tag], now)
		}
	}
	s.lost = lost
}

// conclude counts the messages of the queue among those that were looked at.
func (s *unackedStep) conclude(sample *claimed, bindings map[string][]binding, now time.Time) layout.Outcome {
	o := layout.NewOrphans(s.params)
	reading := sample.complete(s.reading, s.queue, bindings)
	for _, since := range sample.lostOf(s.queue, bindings) {
		if now.Sub(since) >= layout.OrphanGrace {
			reading.InFlight.N -= 1 - o.Add(1, since, now)
		}
	}
	s.mark(o, &reading)
	return s.finish(reading)
}

// all counts the messages of all queues, because the server does not allow to read
// which queues they are of.
func (s *unackedStep) all(refused string) backlog.Reading {
	r := s.reading
	r.InFlight, r.Quality = backlog.Exactly(s.total), backlog.UpperBound
	r.Warning = refused + ", so what workers of all queues have taken counts as in flight"
	return r
}

// A bindingsStep asks to which queues the exchanges of unacknowledged messages lead.
type bindingsStep struct {
	*unackedStep
	claimed *claimed
}

// Commands implements layout.Step.
func (s *bindingsStep) Commands(dst []resp.Command, _ time.Time) []resp.Command {
	for _, exchange := range s.claimed.exchanges {
		key := s.prefix + bindingPrefix + exchange
		dst = append(dst, resp.Command{Key: key, Args: []any{"SRANDMEMBER", key, layout.RegistryPage}})
	}
	return dst
}

// Outcome implements layout.Step.
func (s *bindingsStep) Outcome(replies []resp.Reply, now time.Time) layout.Outcome {
	if slices.ContainsFunc(replies, resp.Reply.IsDenied) {
		return layout.Done(s.all("the server does not allow SRANDMEMBER"))
	}
	c := resp.NewDecoder(replies)
	bindings := make(map[string][]binding)
	for _, exchange := range s.claimed.exchanges {
		rows := c.Strings(-1)
		if len(rows) >= layout.RegistryPage {
			// Not all of them are seen, so where its messages go is not known.
			continue
		}
		bindings[exchange] = nil
		for _, row := range rows {
			// routing key, pattern, queue
			if parts := strings.Split(row, s.separator); len(parts) == 3 {
				bindings[exchange] = append(bindings[exchange], binding{key: parts[0], queue: parts[2]})
			}
		}
	}
	if c.Err() != nil {
		return layout.Fail(c.Err())
	}
	return s.conclude(s.claimed, bindings, now)
}

// A boundStep asks whether Celery knows a queue in which there is nothing.
type boundStep struct {
	*queueStep
	registered layout.Step
}

// Commands implements layout.Step.
func (s *boundStep) Commands(dst []resp.Command, now time.Time) []resp.Command {
	return s.registered.Commands(dst, now)
}

// Outcome refuses a separator that is not that of the application: its tasks with a
// priority would be overlooked.
func (s *boundStep) Outcome(replies []resp.Reply, now time.Time) layout.Outcome {
	other := ""
	for _, r := range replies {
		members, _ := r.Value.([]any)
		for _, member := range members {
			bound := resp.Text(member)
			if strings.HasSuffix(bound, s.separator+s.queue) {
				return s.registered.Outcome(replies, now)
			}
			if found, is := separatorIn(bound, s.queue); is {
				other = found
			}
		}
	}
	if other != "" {
		return layout.Fail(fmt.Errorf("%w: Celery binds the queue with the separator %q, and the trigger has %q: set separator to the sep of broker_transport_options", backlog.ErrMismatch, other, s.separator))
	}
	return s.registered.Outcome(replies, now)
}

// queueIn returns the queue in its binding to an exchange that is named like it,
// whatever the separator; "" if it is no such binding.
func queueIn(bound string) string {
	for n := (len(bound) - 1) / 2; n > 0; n-- {
		if _, found := separatorIn(bound, bound[:n]); found {
			return bound[:n]
		}
	}
	return ""
}

// separatorIn returns the separator in the binding of a queue to an exchange that is
// named like it: the queue as the routing key, the separator, no pattern, the separator,
// the queue.
func separatorIn(bound, queue string) (separator string, found bool) {
	middle, found := strings.CutPrefix(bound, queue)
	if !found {
		return "", false
	}
	middle, found = strings.CutSuffix(middle, queue)
	half := len(middle) / 2
	return middle[:half], found && half > 0 && middle[:half] == middle[half:]
}
