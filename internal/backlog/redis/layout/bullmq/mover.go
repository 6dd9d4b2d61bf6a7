package bullmq

import (
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// A moverStep asks whether there is a process that moves due jobs. In BullMQ 1 that
// is the QueueScheduler alone, and the only sign of one is the key that each of its checks
// for stalled jobs writes, for as long as it is until the next: half a minute by default.
// From BullMQ 2 on workers do both. Which version it is does not show before 3.2, which
// leaves a marker for workers that wait for a delayed job: in wait, from 5 on in marker.
type moverStep struct {
	*queueStep
	facts facts
}

// Commands implements layout.Step.
func (s *moverStep) Commands(dst []resp.Command, _ time.Time) []resp.Command {
	check, marker, wait := s.key("stalled-check"), s.key("marker"), s.key("wait")
	return append(dst,
		resp.Command{Key: check, Args: []any{"EXISTS", check}},
		resp.Command{Key: marker, Args: []any{"EXISTS", marker}},
		resp.Command{Key: wait, Args: []any{"LINDEX", wait, -1}},
	)
}

// Outcome implements layout.Step.
func (s *moverStep) Outcome(replies []resp.Reply, now time.Time) layout.Outcome {
	c := resp.NewDecoder(replies)
	signs := c.Count() + c.Count()
	next, _ := c.Text()
	if c.Err() != nil {
		return layout.Fail(c.Err())
	}
	r := &s.facts.reading
	since, orphaned := s.unmoved.Beyond(layout.StuckGrace, signs == 0 && !strings.HasPrefix(next, markerPrefix), now)
	if !orphaned {
		return layout.Done(*r)
	}
	o := layout.NewOrphans(s.params)
	if r.Due = o.Add(r.Due, since, now); r.Due == 0 {
		r.Oldest = backlog.Age{}
	}
	o.Mark(r, "delayed jobs are due, and no process moves them: the key "+s.key("stalled-check")+
		", which the QueueScheduler of BullMQ 1 and workers of later versions renew, is not there")
	return layout.Done(*r)
}
