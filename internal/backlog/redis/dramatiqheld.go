package redis

import (
	"fmt"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

const (
	// dramatiqHeartbeats is the sorted set of all processes that use a namespace, and
	// dramatiqAcks what the sets are named of messages that a process has fetched.
	// https://github.com/Bogdanp/dramatiq/blob/master/dramatiq/brokers/redis/dispatch.lua
	dramatiqHeartbeats, dramatiqAcks = "__heartbeats__", "__acks__."
	// dramatiqOldAcks ends the name of a sorted set that has the same purpose up to
	// Dramatiq 1.1, and which later versions took over from up to Dramatiq 1.
	dramatiqOldAcks = ".acks"
	// dramatiqWorkers is at how many processes it is looked.
	dramatiqWorkers = 250
	// dramatiqHeldEvery is the pause between two looks at what workers have fetched.
	dramatiqHeldEvery = time.Minute
)

// dramatiqHeld is what is known of messages that neither wait nor are noted as fetched.
// Another worker puts back what a dead one has fetched by those notes, so what is not
// among them stays where it is for ever.
type dramatiqHeld struct {
	namespace string
	// queues are the names of the queue and of the one of its delayed messages.
	queues []string

	// some says which of the queues have messages that could be lost.
	some [2]bool
	// looked is when it was looked for last.
	looked time.Time
	// lost is what was found, of each of the queues.
	lost [2]dramatiqLost
}

// A dramatiqLost is how many messages of a queue have been lost at least in each look
// since the first one that found any.
type dramatiqLost struct {
	layout.Streak
	n int64
}

// wants reports whether it is time to look, now that the queues have messages that could
// be lost or have none.
func (h *dramatiqHeld) wants(fetched, delayed bool, now time.Time) bool {
	h.some = [2]bool{fetched, delayed}
	h.forget()
	return (fetched || delayed) && now.Sub(h.looked) >= dramatiqHeldEvery
}

// forget forgets what was found of queues that have no such messages.
func (h *dramatiqHeld) forget() {
	for i, some := range h.some {
		if !some {
			h.lost[i] = dramatiqLost{}
		}
	}
}

// note notes how many messages of a queue are lost at the moment now.
func (l *dramatiqLost) note(n int64, now time.Time) {
	if l.Since.IsZero() {
		l.n = n
	}
	l.n = min(l.n, n)
	l.Streak.Note(l.n > 0, now)
}

// lastingFor returns how many messages are lost that have been so for the grace.
func (l *dramatiqLost) lastingFor(now time.Time) int64 {
	if l.Since.IsZero() || now.Sub(l.Since) < layout.OrphanGrace {
		return 0
	}
	return l.n
}

// mark completes a reading, of whose delayed messages there are total.
func (h *dramatiqHeld) mark(r *backlog.Reading, total int64, o *layout.Orphans, now time.Time) {
	fetched := min(h.lost[0].lastingFor(now), r.InFlight.N)
	r.InFlight.N -= fetched - o.Add(fetched, h.lost[0].Since, now)
	// Some may be lost that are not due yet.
	due := min(max(0, h.lost[1].lastingFor(now)-(total-r.Due)), r.Due)
	r.Due -= due - o.Add(due, h.lost[1].Since, now)
	o.Mark(r, fmt.Sprintf("work in \"%s:%s*.msgs\" is neither on the queue nor noted as fetched by any worker, so nothing does it", h.namespace, h.queues[0]))
}

// A dramatiqWorkersStep asks which processes use the namespace.
type dramatiqWorkersStep struct{ *dramatiqMessagesStep }

func (s *dramatiqWorkersStep) Commands(dst []resp.Command, _ time.Time) []resp.Command {
	heartbeats := s.namespace + ":" + dramatiqHeartbeats
	return append(dst, resp.Command{Key: heartbeats, Args: []any{"ZRANGE", heartbeats, 0, dramatiqWorkers}})
}

func (s *dramatiqWorkersStep) Outcome(replies []resp.Reply, now time.Time) layout.Outcome {
	c := resp.NewDecoder(replies)
	workers, allowed := c.OptionalStrings()
	if c.Err() != nil {
		return layout.Fail(c.Err())
	}
	if !allowed || len(workers) > dramatiqWorkers {
		s.held.some, s.held.looked = [2]bool{}, now
		s.held.forget()
		return s.begin(now)
	}
	return layout.Outcome{Next: &dramatiqFetchedStep{s.dramatiqMessagesStep, workers}}
}

// A dramatiqFetchedStep counts what workers have fetched.
type dramatiqFetchedStep struct {
	*dramatiqMessagesStep
	workers []string
}

func (s *dramatiqFetchedStep) Commands(dst []resp.Command, _ time.Time) []resp.Command {
	for i, queue := range s.held.queues {
		if !s.held.some[i] {
			continue
		}
		full := s.namespace + ":" + queue
		dst = append(dst,
			resp.Command{Key: full + ".msgs", Args: []any{"HLEN", full + ".msgs"}},
			resp.Command{Key: full, Args: []any{"LLEN", full}},
			resp.Command{Key: full + dramatiqOldAcks, Args: []any{"ZCARD", full + dramatiqOldAcks}},
		)
		for _, worker := range s.workers {
			key := s.namespace + ":" + dramatiqAcks + worker + "." + queue
			dst = append(dst, resp.Command{Key: key, Args: []any{"SCARD", key}})
		}
	}
	return dst
}

func (s *dramatiqFetchedStep) Outcome(replies []resp.Reply, now time.Time) layout.Outcome {
	c := resp.NewDecoder(replies)
	var lost [2]int64
	allowed := true
	for i := range s.held.queues {
		if !s.held.some[i] {
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
	s.held.looked = now
	for i := range lost {
		if !allowed {
			lost[i] = 0
		}
		s.held.lost[i].note(max(0, lost[i]), now)
	}
	return s.begin(now)
}
