package bullmq

import (
	"strconv"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

const (
	// maxGroups is how many groups of a queue are looked into, of each state.
	maxGroups = 100
	// groupStates is how many states a group with waiting jobs can be in.
	groupStates = 3
)

// groupSets are the sorted sets that name the groups of BullMQ Pro in which jobs
// wait: those whose turn comes, those that have reached their rate limit, and those that
// have reached their concurrency. Paused groups are in a set of their own, and hand out
// nothing. A group is in one set.
//
// BullMQ Pro is not public, so nothing here is tested with the library itself: the keys
// are those that reports and inspectors of it name, such as
// https://github.com/taskforcesh/bullmq/issues/3929.
func groupSets() [groupStates]string {
	return [...]string{"groups", "groups:limit", "groups:max"}
}

// askGroups adds the jobs of groups to the facts.
func (q *queue) askGroups(trips *layout.RoundTrips, f *facts) error {
	names, err := q.askGroupNames(trips)
	if err != nil {
		return err
	}
	var commands []resp.Command
	for _, name := range names {
		list := q.key("groups:" + name)
		commands = append(commands,
			resp.Command{Key: list, Args: []any{"LLEN", list}},
			resp.Command{Key: list + ":p", Args: []any{"ZCARD", list + ":p"}},
		)
	}
	c := trips.Ask(commands...)
	var jobs int64
	for range names {
		jobs += c.Count() + c.Count()
	}
	if c.Err() != nil {
		return c.Err()
	}
	r := &f.reading
	// Groups that were not looked into have a job each.
	r.Ready += jobs + max(0, f.groups-int64(len(names)))
	if r.Backlog() == 0 {
		// There are groups, and nothing is known to say that their jobs are elsewhere.
		r.Ready = 1
	}
	f.inOrder = false
	r.Quality = max(r.Quality, backlog.LowerBound)
	r.AddWarning("the queue has groups of BullMQ Pro (" + q.key("groups") + "), whose keys are not public: only jobs under known keys are counted")
	return nil
}

// askGroupNames asks for the names of the groups with jobs, at most maxGroups of each state.
func (q *queue) askGroupNames(trips *layout.RoundTrips) ([]string, error) {
	var commands []resp.Command
	for _, set := range groupSets() {
		commands = append(commands, resp.Command{Key: q.key(set), Args: []any{"ZRANGE", q.key(set), 0, strconv.Itoa(maxGroups - 1)}})
	}
	c := trips.Ask(commands...)
	var names []string
	for range groupStates {
		names = append(names, c.Strings(-1)...)
	}
	return names, c.Err()
}
