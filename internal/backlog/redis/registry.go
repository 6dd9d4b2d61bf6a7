package redis

import (
	"fmt"
	"slices"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// registryPage is how many names of a registry are read.
const registryPage = 1000

// A registry is where a framework keeps the names of its queues: sets whose keys are
// known. It is asked only about a queue in which there is nothing.
type registry struct {
	// framework is its name, for people.
	framework string
	// sets are the keys of the sets.
	sets []string
	// member is the member of any of the sets that stands for the queue; "" if it can
	// only be told by name.
	member string
	// queue is the name of the queue, as name returns it; "" if it is not of one queue.
	queue string
	// name returns the queue that a member stands for; "" if for none.
	name func(member string) string
	// elsewhere finds the registries of other prefixes; nil if they are not asked.
	elsewhere *elsewhere
}

// ask continues with the step that completes the reading of an empty queue.
func (r *registry) ask(empty backlog.Reading) outcome { return outcome{next: r.step(empty)} }

// step returns the step that completes the reading of an empty queue.
func (r *registry) step(empty backlog.Reading) step {
	return &registryStep{registry: r, reading: empty}
}

// A registryStep asks whether the framework knows a queue in which there is nothing.
type registryStep struct {
	*registry
	reading backlog.Reading
}

func (s *registryStep) commands(dst []resp.Command, _ time.Time) []resp.Command {
	for _, set := range s.sets {
		if s.member != "" {
			dst = append(dst, resp.Command{Key: set, Args: []any{"SISMEMBER", set, s.member}})
		}
		dst = append(dst, resp.Command{Key: set, Args: []any{"SRANDMEMBER", set, registryPage}})
	}
	return dst
}

func (s *registryStep) outcome(replies []resp.Reply, now time.Time) outcome {
	if slices.ContainsFunc(replies, resp.Reply.IsDenied) {
		s.reading.Missing = true
		s.reading.AddWarning(fmt.Sprintf("the server does not allow SISMEMBER or SRANDMEMBER, so whether %s knows the queue is not known", s.framework))
		return done(s.reading)
	}
	c := resp.NewDecoder(replies)
	var names []string
	known, complete := false, true
	for range s.sets {
		if s.member != "" {
			known = c.Count() > 0 || known
		}
		members := s.queues(c)
		complete = complete && len(members) < registryPage
		names = append(names, members...)
	}
	if c.Err() != nil {
		return fail(c.Err())
	}
	if known || slices.Contains(names, s.queue) || s.member == "" && !complete {
		return done(s.reading)
	}
	s.reading.Missing = true
	s.reading.AddWarning(fmt.Sprintf("%s knows no queue %q here", s.framework, s.queue))
	s.reading.Hint = others(s.queue, names)
	return s.missing(s.reading, now)
}

// queues takes the members of one set, and returns the queues that they stand for.
func (r *registry) queues(c *resp.Decoder) []string {
	var names []string
	for _, member := range c.Strings(-1) {
		if name := r.name(member); name != "" {
			names = append(names, name)
		}
	}
	return names
}
