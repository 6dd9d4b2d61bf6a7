package bullmq

import (
	"strconv"
	"time"

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

// A groupsStep asks for the names of groups of BullMQ Pro.
type groupsStep struct {
	*queueStep
	facts facts
}

// Commands implements layout.Step.
func (s *groupsStep) Commands(dst []resp.Command, _ time.Time) []resp.Command {
	for _, set := range groupSets() {
		dst = append(dst, resp.Command{Key: s.key(set), Args: []any{"ZRANGE", s.key(set), 0, strconv.Itoa(maxGroups - 1)}})
	}
	return dst
}

// Outcome implements layout.Step.
func (s *groupsStep) Outcome(replies []resp.Reply, _ time.Time) layout.Outcome {
	c := resp.NewDecoder(replies)
	var groups []string
	for range groupStates {
		groups = append(groups, c.Strings(-1)...)
	}
	if c.Err() != nil {
		return layout.Fail(c.Err())
	}
	return layout.Outcome{Next: &groupStep{groupsStep: s, groups: groups}}
}

// A groupStep counts the jobs that wait in groups of BullMQ Pro.
type groupStep struct {
	*groupsStep
	groups []string
}

// Commands implements layout.Step.
func (s *groupStep) Commands(dst []resp.Command, _ time.Time) []resp.Command {
	for _, group := range s.groups {
		list := s.key("groups:" + group)
		dst = append(dst,
			resp.Command{Key: list, Args: []any{"LLEN", list}},
			resp.Command{Key: list + ":p", Args: []any{"ZCARD", list + ":p"}},
		)
	}
	return dst
}

// Outcome implements layout.Step.
func (s *groupStep) Outcome(replies []resp.Reply, now time.Time) layout.Outcome {
	c := resp.NewDecoder(replies)
	var jobs int64
	for range s.groups {
		jobs += c.Count() + c.Count()
	}
	if c.Err() != nil {
		return layout.Fail(c.Err())
	}
	r := &s.facts.reading
	// Groups that were not looked into have a job each.
	r.Ready += jobs + max(0, s.facts.groups-int64(len(s.groups)))
	if r.Backlog() == 0 {
		// There are groups, and nothing is known to say that their jobs are elsewhere.
		r.Ready = 1
	}
	s.facts.inOrder = false
	r.Quality = max(r.Quality, backlog.LowerBound)
	r.AddWarning("the queue has groups of BullMQ Pro (" + s.key("groups") + "), whose keys are not public: only jobs under known keys are counted")
	return s.next(s.facts, now)
}
