package asynq

import (
	"fmt"
	"strconv"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// maxGroups is how many groups of a queue are looked into.
const maxGroups = 100

// A detailStep asks for the names of groups, and since when the next task has
// been pending.
type detailStep struct {
	*queueStep
	reading backlog.Reading
	groups  int64
	next    string // id of the next task; empty if not to be asked for
	others  bool   // says that there are tasks whose age is not known
}

// Commands implements layout.Step.
func (s *detailStep) Commands(dst []resp.Command, _ time.Time) []resp.Command {
	if s.next != "" {
		task := s.key("t:" + s.next)
		dst = append(dst, resp.Command{Key: task, Args: []any{"HGET", task, "pending_since"}})
	}
	if s.groups > 0 {
		groups := s.key("groups")
		dst = append(dst, resp.Command{Key: groups, Args: []any{"SRANDMEMBER", groups, maxGroups}})
	}
	return dst
}

// Outcome implements layout.Step.
func (s *detailStep) Outcome(replies []resp.Reply, _ time.Time) layout.Outcome {
	c := resp.NewDecoder(replies)
	r := s.reading
	if s.next != "" {
		since, err := pendingSince(c)
		if err != nil {
			return layout.Fail(err)
		}
		if !since.IsZero() {
			r.Oldest = backlog.Age{Since: layout.Earlier(since, r.Oldest.Since), Kind: backlog.AgeExact}
			if s.others {
				r.Oldest.Kind = backlog.AgeLowerBound
			}
		}
	}
	if s.groups == 0 {
		return layout.Done(r)
	}
	names := c.Strings(-1)
	if c.Err() != nil {
		return layout.Fail(c.Err())
	}
	if len(names) == 0 {
		// They went to be aggregated between the two round trips.
		r.Due += s.groups
		r.Quality = backlog.LowerBound
		return layout.Done(r)
	}
	return layout.Outcome{Next: &groupsStep{queueStep: s.queueStep, reading: r, names: names, more: max(0, s.groups-int64(len(names)))}}
}

// pendingSince takes the reply about since when a task has been pending; zero if
// it was taken in the meantime, or was given back by a worker, which leaves no time.
func pendingSince(c *resp.Decoder) (time.Time, error) {
	text, found := c.Text()
	if c.Err() != nil || !found {
		return time.Time{}, c.Err()
	}
	ns, err := strconv.ParseInt(text, 10, 64)
	if err != nil || ns <= 0 {
		return time.Time{}, fmt.Errorf("%w: %q where a time in nanoseconds belongs", resp.ErrReply, text)
	}
	return time.Unix(0, ns), nil
}

// A groupsStep counts the tasks that wait in groups.
type groupsStep struct {
	*queueStep
	reading backlog.Reading
	names   []string
	more    int64 // groups beyond these
}

// Commands implements layout.Step.
func (s *groupsStep) Commands(dst []resp.Command, _ time.Time) []resp.Command {
	for _, name := range s.names {
		group := s.key("g:" + name)
		dst = append(dst, resp.Command{Key: group, Args: []any{"ZCARD", group}})
	}
	return dst
}

// Outcome implements layout.Step.
func (s *groupsStep) Outcome(replies []resp.Reply, _ time.Time) layout.Outcome {
	c := resp.NewDecoder(replies)
	r := s.reading
	more := s.more
	for range s.names {
		n := c.Count()
		if n == 0 {
			// It went to be aggregated after these sets were counted.
			more++
		}
		r.Due += n
	}
	if c.Err() != nil {
		return layout.Fail(c.Err())
	}
	if more > 0 {
		r.Due += more
		r.Quality = backlog.LowerBound
	}
	return layout.Done(r)
}
