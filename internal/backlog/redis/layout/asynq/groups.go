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

// askDetails asks for the names of groups, and since when the next task has been pending. It
// asks for no task if next is "", and for no names if there are no groups. old reports whether
// the list of asynq before 0.18 has tasks: their age is not known.
func (q *queue) askDetails(trips *layout.RoundTrips, r *backlog.Reading, next string, groups int64, old bool) error {
	var commands []resp.Command
	if next != "" {
		task := q.key("t:" + next)
		commands = append(commands, resp.Command{Key: task, Args: []any{"HGET", task, "pending_since"}})
	}
	if groups > 0 {
		key := q.key("groups")
		commands = append(commands, resp.Command{Key: key, Args: []any{"SRANDMEMBER", key, maxGroups}})
	}
	c := trips.Ask(commands...)
	if next != "" {
		since, err := pendingSince(c)
		if err != nil {
			return err
		}
		if !since.IsZero() {
			r.Oldest = backlog.Age{Since: layout.Earlier(since, r.Oldest.Since), Kind: backlog.AgeExact}
			if groups > 0 || old {
				r.Oldest.Kind = backlog.AgeLowerBound
			}
		}
	}
	if groups == 0 {
		return c.Err()
	}
	names := c.Strings(-1)
	if c.Err() != nil {
		return c.Err()
	}
	if len(names) == 0 {
		// They went to be aggregated between the two round trips.
		r.Due += groups
		r.Quality = backlog.LowerBound
		return nil
	}
	return q.askGroups(trips, r, names, max(0, groups-int64(len(names))))
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

// askGroups counts the tasks that wait in the groups of these names. more is how many groups
// there are beyond them.
func (q *queue) askGroups(trips *layout.RoundTrips, r *backlog.Reading, names []string, more int64) error {
	commands := make([]resp.Command, len(names))
	for i, name := range names {
		group := q.key("g:" + name)
		commands[i] = resp.Command{Key: group, Args: []any{"ZCARD", group}}
	}
	c := trips.Ask(commands...)
	var waiting int64
	for range names {
		n := c.Count()
		if n == 0 {
			// It went to be aggregated after these sets were counted.
			more++
		}
		waiting += n
	}
	if c.Err() != nil {
		return c.Err()
	}
	r.Due += waiting + more
	if more > 0 {
		r.Quality = backlog.LowerBound
	}
	return nil
}
