package bullmq

import (
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// askMover asks whether there is a process that moves due jobs. In BullMQ 1 that is the
// QueueScheduler alone, and the only sign of one is the key that each of its checks for stalled
// jobs writes, for as long as it is until the next: half a minute by default. From BullMQ 2 on
// workers do both. Which version it is does not show before 3.2, which leaves a marker for
// workers that wait for a delayed job: in wait, from 5 on in marker.
func (q *queue) askMover(trips *layout.RoundTrips, r *backlog.Reading) error {
	check, marker, wait := q.key("stalled-check"), q.key("marker"), q.key("wait")
	c := trips.Ask(
		resp.Command{Key: check, Args: []any{"EXISTS", check}},
		resp.Command{Key: marker, Args: []any{"EXISTS", marker}},
		resp.Command{Key: wait, Args: []any{"LINDEX", wait, -1}},
	)
	signs := c.Count() + c.Count()
	next, _ := c.Text()
	if c.Err() != nil {
		return c.Err()
	}
	since, orphaned := q.unmoved.Beyond(layout.StuckGrace, signs == 0 && !strings.HasPrefix(next, markerPrefix), trips.Now())
	if !orphaned {
		return nil
	}
	o := layout.NewOrphans(q.params)
	if r.Due = o.Add(r.Due, since, trips.Now()); r.Due == 0 {
		r.Oldest = backlog.Age{}
	}
	o.Mark(r, "delayed jobs are due, and no process moves them: the key "+check+
		", which the QueueScheduler of BullMQ 1 and workers of later versions renew, is not there")
	return nil
}
