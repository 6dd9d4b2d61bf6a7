package layout

import (
	"fmt"
	"slices"

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

// Ask completes the reading of a queue in which there is nothing: whether the framework knows
// it.
func (r *Registry) Ask(trips *RoundTrips, empty backlog.Reading) (backlog.Reading, error) {
	return r.Conclude(trips, trips.Ask(r.Commands()...), empty)
}

// Commands returns what Ask asks.
func (r *Registry) Commands() []resp.Command {
	var commands []resp.Command
	for _, set := range r.Sets {
		if r.Member != "" {
			commands = append(commands, resp.Command{Key: set, Args: []any{"SISMEMBER", set, r.Member}})
		}
		commands = append(commands, resp.Command{Key: set, Args: []any{"SRANDMEMBER", set, RegistryPage}})
	}
	return commands
}

// Conclude makes of the replies to Commands what Ask returns.
func (r *Registry) Conclude(trips *RoundTrips, c *resp.Decoder, empty backlog.Reading) (backlog.Reading, error) {
	if slices.ContainsFunc(c.Rest(), resp.Reply.IsDenied) {
		empty.Missing = true
		empty.AddWarning(fmt.Sprintf("the server does not allow SISMEMBER or SRANDMEMBER, so whether %s knows the queue is not known", r.Framework))
		return empty, nil
	}
	var names []string
	known, complete := false, true
	for range r.Sets {
		if r.Member != "" {
			known = c.Count() > 0 || known
		}
		members := r.Queues(c)
		complete = complete && len(members) < RegistryPage
		names = append(names, members...)
	}
	if c.Err() != nil || known || slices.Contains(names, r.Queue) || r.Member == "" && !complete {
		return empty, c.Err()
	}
	empty.Missing = true
	empty.AddWarning(fmt.Sprintf("%s knows no queue %q here", r.Framework, r.Queue))
	empty.Hint = SuggestNames(r.Queue, names)
	other, err := r.askOthers(trips)
	if other != "" {
		empty.Hint += "; " + other
	}
	return empty, err
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
