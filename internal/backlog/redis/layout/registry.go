package layout

import (
	"fmt"
	"slices"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// RegistryPage is how many names of a registry are read.
const RegistryPage = 1000

// A Registry is where a framework keeps the names of its queues: sets whose keys are
// known. It is asked only about a queue in which there is nothing.
type Registry struct {
	// Framework is its name, as warnings have it.
	Framework string
	// Sets are the keys of the sets.
	Sets []string
	// Member is the member of any of the sets that stands for the queue; "" if only
	// QueueOf finds it.
	Member string
	// Queue is the name of the queue, as QueueOf returns it; "" if it is not of one queue.
	Queue string
	// QueueOf returns the queue that a member stands for; "" if for none.
	QueueOf func(member string) string
	// OtherPrefixes finds the registries of other prefixes; nil if they are not asked.
	OtherPrefixes *OtherPrefixes
}

// Ask continues with the step that completes the reading of an empty queue.
func (r *Registry) Ask(empty backlog.Reading) Outcome { return Outcome{Next: r.Step(empty)} }

// Step returns the step that completes the reading of an empty queue.
func (r *Registry) Step(empty backlog.Reading) Step {
	return &registryStep{Registry: r, reading: empty}
}

// A registryStep asks whether the framework knows a queue in which there is nothing.
type registryStep struct {
	*Registry
	reading backlog.Reading
}

// Commands implements Step.
func (s *registryStep) Commands(dst []resp.Command, _ time.Time) []resp.Command {
	for _, set := range s.Sets {
		if s.Member != "" {
			dst = append(dst, resp.Command{Key: set, Args: []any{"SISMEMBER", set, s.Member}})
		}
		dst = append(dst, resp.Command{Key: set, Args: []any{"SRANDMEMBER", set, RegistryPage}})
	}
	return dst
}

// Outcome implements Step.
func (s *registryStep) Outcome(replies []resp.Reply, now time.Time) Outcome {
	if slices.ContainsFunc(replies, resp.Reply.IsDenied) {
		s.reading.Missing = true
		s.reading.AddWarning(fmt.Sprintf("the server does not allow SISMEMBER or SRANDMEMBER, so whether %s knows the queue is not known", s.Framework))
		return Done(s.reading)
	}
	c := resp.NewDecoder(replies)
	var names []string
	known, complete := false, true
	for range s.Sets {
		if s.Member != "" {
			known = c.Count() > 0 || known
		}
		members := s.Queues(c)
		complete = complete && len(members) < RegistryPage
		names = append(names, members...)
	}
	if c.Err() != nil {
		return Fail(c.Err())
	}
	if known || slices.Contains(names, s.Queue) || s.Member == "" && !complete {
		return Done(s.reading)
	}
	s.reading.Missing = true
	s.reading.AddWarning(fmt.Sprintf("%s knows no queue %q here", s.Framework, s.Queue))
	s.reading.Hint = SuggestNames(s.Queue, names)
	return s.missing(s.reading, now)
}

// Queues takes the members of one set, and returns the queues that they stand for.
func (r *Registry) Queues(c *resp.Decoder) []string {
	var names []string
	for _, member := range c.Strings(-1) {
		if name := r.QueueOf(member); name != "" {
			names = append(names, name)
		}
	}
	return names
}
