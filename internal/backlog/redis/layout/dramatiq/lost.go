package dramatiq

import (
	"fmt"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

const (
	// heartbeatsKey is the sorted set of all processes that use a namespace, and
	// acksPrefix what the sets are named of messages that a process has fetched.
	// https://github.com/Bogdanp/dramatiq/blob/master/dramatiq/brokers/redis/dispatch.lua
	heartbeatsKey, acksPrefix = "__heartbeats__", "__acks__."
	// oldAcksSuffix ends the name of a sorted set that has the same purpose up to
	// Dramatiq 1.1, and which later versions took over from up to Dramatiq 1.
	oldAcksSuffix = ".acks"
	// maxWorkers is at how many processes it is looked.
	maxWorkers = 250
	// lostInterval is the pause between two reads of what workers have fetched.
	lostInterval = time.Minute
)

// lostMessages is what is known of messages that neither wait nor are noted as fetched.
// Another worker puts back what a dead one has fetched by those notes, so what is not
// among them stays where it is for ever.
type lostMessages struct {
	namespace string
	// queues are the names of the queue and of the one of its delayed messages.
	queues []string

	// some says which of the queues have messages that could be lost.
	some [2]bool
	// looked is when it was looked for last.
	looked time.Time
	// found is what was found, of each of the queues.
	found [2]lostCount
}

// A lostCount is how many messages of a queue have been lost at least in each read
// since the first one that found any.
type lostCount struct {
	layout.Streak
	n int64
}

// wants reports whether it is time to look, now that the queues have messages that could
// be lost or have none.
func (h *lostMessages) wants(fetched, delayed bool, now time.Time) bool {
	h.some = [2]bool{fetched, delayed}
	h.forget()
	return (fetched || delayed) && now.Sub(h.looked) >= lostInterval
}

// forget forgets what was found of queues that have no such messages.
func (h *lostMessages) forget() {
	for i, some := range h.some {
		if !some {
			h.found[i] = lostCount{}
		}
	}
}

// note notes how many messages of a queue are lost at the moment now.
func (l *lostCount) note(n int64, now time.Time) {
	if l.Since.IsZero() {
		l.n = n
	}
	l.n = min(l.n, n)
	l.Note(l.n > 0, now)
}

// lastingFor returns how many messages are lost that have been so for the grace.
func (l *lostCount) lastingFor(now time.Time) int64 {
	if l.Since.IsZero() || now.Sub(l.Since) < layout.OrphanGrace {
		return 0
	}
	return l.n
}

// mark completes a reading, of whose delayed messages there are total.
func (h *lostMessages) mark(r *backlog.Reading, total int64, o *layout.Orphans, now time.Time) {
	fetched := min(h.found[0].lastingFor(now), r.InFlight.N)
	r.InFlight.N -= fetched - o.Add(fetched, h.found[0].Since, now)
	// Some may be lost that are not due yet.
	due := min(max(0, h.found[1].lastingFor(now)-(total-r.Due)), r.Due)
	r.Due -= due - o.Add(due, h.found[1].Since, now)
	o.Mark(r, fmt.Sprintf("work in \"%s:%s*.msgs\" is neither on the queue nor noted as fetched by any worker, so nothing does it", h.namespace, h.queues[0]))
}

// A workersStep asks which processes use the namespace.
type workersStep struct{ *messagesStep }

// Commands implements layout.Step.
func (s *workersStep) Commands(dst []resp.Command, _ time.Time) []resp.Command {
	heartbeats := s.namespace + ":" + heartbeatsKey
	return append(dst, resp.Command{Key: heartbeats, Args: []any{"ZRANGE", heartbeats, 0, maxWorkers}})
}

// Outcome implements layout.Step.
func (s *workersStep) Outcome(replies []resp.Reply, now time.Time) layout.Outcome {
	c := resp.NewDecoder(replies)
	workers, allowed := c.OptionalStrings()
	if c.Err() != nil {
		return layout.Fail(c.Err())
	}
	if !allowed || len(workers) > maxWorkers {
		s.lost.some, s.lost.looked = [2]bool{}, now
		s.lost.forget()
		return s.begin(now)
	}
	return layout.Outcome{Next: &fetchedStep{s.messagesStep, workers}}
}

// A fetchedStep counts what workers have fetched.
type fetchedStep struct {
	*messagesStep
	workers []string
}

// Commands implements layout.Step.
func (s *fetchedStep) Commands(dst []resp.Command, _ time.Time) []resp.Command {
	for i, queue := range s.lost.queues {
		if !s.lost.some[i] {
			continue
		}
		full := s.namespace + ":" + queue
		dst = append(dst,
			resp.Command{Key: full + ".msgs", Args: []any{"HLEN", full + ".msgs"}},
			resp.Command{Key: full, Args: []any{"LLEN", full}},
			resp.Command{Key: full + oldAcksSuffix, Args: []any{"ZCARD", full + oldAcksSuffix}},
		)
		for _, worker := range s.workers {
			key := s.namespace + ":" + acksPrefix + worker + "." + queue
			dst = append(dst, resp.Command{Key: key, Args: []any{"SCARD", key}})
		}
	}
	return dst
}

// Outcome implements layout.Step.
func (s *fetchedStep) Outcome(replies []resp.Reply, now time.Time) layout.Outcome {
	c := resp.NewDecoder(replies)
	var lost [2]int64
	allowed := true
	for i := range s.lost.queues {
		if !s.lost.some[i] {
			continue
		}
		all, waiting := c.Count(), c.Count()
		lost[i] = all - waiting
		for range 1 + len(s.workers) {
			fetched := c.OptionalCount()
			allowed = allowed && fetched.Known
			lost[i] -= fetched.N
		}
	}
	if c.Err() != nil {
		return layout.Fail(c.Err())
	}
	s.lost.looked = now
	for i := range lost {
		if !allowed {
			lost[i] = 0
		}
		s.lost.found[i].note(max(0, lost[i]), now)
	}
	return s.begin(now)
}
