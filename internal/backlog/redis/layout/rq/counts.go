package rq

import (
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// A summary is what the first replies tell besides the numbers of a reading.
type summary struct {
	// first is the id of the first job on the queue; "" if its age is not wanted.
	first string
	// due is since when the first scheduled job that counts has been due; zero if none is.
	due time.Time
	// intermediate and wip are the numbers of jobs on the intermediate list, and of those that
	// run.
	intermediate, wip int64
	// overdue is how many scheduled jobs have been due for too long while there is no
	// scheduler, and old how many of them for longer than they may count.
	overdue, old int64
	// expired is how many running jobs RQ should have given up long ago.
	expired int64
	// outside is how many jobs of rq-scheduler are due, and limited are the names of rate
	// limits, of all queues.
	outside int64
	limited []string
	// hidden says that the server does not allow to read whether there are any.
	hidden bool
}

// takeCounts takes the replies to Commands.
func (q *queue) takeCounts(c *resp.Decoder) (backlog.Reading, summary, error) {
	scheduled := layout.ReadSchedule(c, layout.Seconds)
	dependents, ready, intermediate, wip, suspended := c.Count(), c.Count(), c.Count(), c.Count(), c.Count()
	lock, expired, outside := c.OptionalCount(), c.Count(), c.OptionalCount()
	overdue, old := c.Count(), int64(0)
	limited, allowed := c.OptionalStrings()
	if q.bound > 0 {
		old = c.Count()
	}
	if !lock.Known || lock.N > 0 {
		overdue, old = 0, 0
	}
	s := summary{
		due: scheduled.Since, intermediate: intermediate, wip: wip,
		overdue: overdue, old: min(old, overdue), expired: expired,
		outside: outside.N, limited: limited, hidden: !outside.Known || !allowed,
	}
	if q.payload {
		s.first, _ = c.Text()
	}
	r := backlog.Reading{
		Ready:   ready,
		Due:     scheduled.Due + dependents,
		NextDue: scheduled.Next,
		Oldest:  scheduled.Age(ready + dependents),
		Paused:  suspended > 0,
	}
	return r, s, c.Err()
}

// noteScheduled notes the scheduled jobs that have been due for too long while there is
// no scheduler. Those that are old have been due for longer than they may count. They
// stop counting only when the scaler has seen that for as long: else it might never wake
// the worker whose scheduler would move them.
func (q *queue) noteScheduled(r *backlog.Reading, s *summary, now time.Time) *layout.Orphans {
	o := layout.NewOrphans(q.params)
	since := q.unscheduled.Note(s.overdue > 0, now)
	ignored := s.old - o.Add(s.old, since, now)
	o.Add(s.overdue-s.old, now, now)
	r.Due -= ignored
	if ignored > 0 {
		s.due, r.Oldest = time.Time{}, backlog.Age{}
	}
	return o
}

// noteExpired notes the running jobs that RQ should have given up long ago.
func (q *queue) noteExpired(expired int64, now time.Time) *layout.Orphans {
	o := layout.NewOrphans(q.params)
	o.Add(expired, q.abandoned.Note(expired > 0, now), now)
	return o
}
