package resque

import (
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// A queue first asks when work falls due, for the queue, and which workers there are.
type queue struct {
	name, namespace string
	registry        layout.Registry
	params          backlog.Params

	// allBeat says that all workers had heartbeats of Resque when they were last asked for.
	allBeat bool
}

func (q *queue) key(parts string) string { return q.namespace + ":" + parts }

// Commands implements layout.Reader.
func (q *queue) Commands(dst []resp.Command, now time.Time) []resp.Command {
	schedule, list, workers, pause := q.key("delayed_queue_schedule"), q.key("queue:"+q.name), q.key("workers"), q.key("pause-all-workers")
	limit := layout.Seconds.Due(now)
	// Moments before this one do not count any more if no scheduler runs.
	after := max(layout.NewOrphans(q.params).After, overdueAfter)
	return append(dst,
		resp.Command{Key: schedule, KeyType: 'z', Args: layout.ByScore(schedule, "-inf", limit, maxMoments, false)},
		// The next moment at which any work is due: what falls due at a moment that is
		// known already does not change the set.
		resp.Command{Key: schedule, KeyType: 'z', Args: layout.ByScore(schedule, "("+limit, "+inf", 1, true)},
		resp.Command{Key: schedule, KeyType: 'z', Args: []any{"ZCOUNT", schedule, "(" + layout.Seconds.Due(now.Add(-after)), limit}},
		resp.Command{Key: list, KeyType: 'l', Args: []any{"LLEN", list}},
		resp.Command{Key: workers, KeyType: 's', Args: []any{"SRANDMEMBER", workers, maxWorkers}},
		resp.Command{Key: pause, KeyType: '$', Args: []any{"GET", pause}},
	)
}

// Read implements layout.Reader.
func (q *queue) Read(trips *layout.RoundTrips) (backlog.Reading, error) {
	c := trips.First()
	var d delayed
	d.times = c.Strings(-1)
	r := backlog.Reading{NextDue: layout.FirstTime(c, layout.Seconds), InFlight: backlog.Exactly(0)}
	d.recent = c.Count()
	r.Ready = c.Count()
	workers := c.Strings(-1)
	if c.Allowed() {
		// Resque 2.3 and later.
		value, _ := c.Text()
		r.Paused = strings.EqualFold(strings.TrimSpace(value), "true")
	}
	if c.Err() != nil {
		return r, c.Err()
	}
	if len(d.times)+len(workers) > 0 {
		if err := q.askJobs(trips, &r, d, workers); err != nil {
			return r, err
		}
	}
	if r.Backlog() == 0 && r.NextDue.IsZero() {
		return q.registry.Ask(trips, r)
	}
	return r, nil
}
