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

// wants reports whether it is time to look, now that some of the queues have messages that
// could be lost.
func (h *lostMessages) wants(some [2]bool, now time.Time) bool {
	h.keep(some)
	return (some[0] || some[1]) && now.Sub(h.looked) >= lostInterval
}

// keep forgets what was found of all but some of the queues.
func (h *lostMessages) keep(some [2]bool) {
	for i := range some {
		if !some[i] {
			h.found[i] = lostCount{}
		}
	}
}

// ask asks what workers have fetched of some of the queues, and notes what is lost.
func (h *lostMessages) ask(trips *layout.RoundTrips, some [2]bool) error {
	heartbeats := h.namespace + ":" + heartbeatsKey
	c := trips.Ask(resp.Command{Key: heartbeats, Args: []any{"ZRANGE", heartbeats, 0, maxWorkers}})
	workers, allowed := c.OptionalStrings()
	if c.Err() != nil {
		return c.Err()
	}
	looked := trips.Now()
	trips.Remember(func() { h.looked = looked })
	if !allowed || len(workers) > maxWorkers {
		h.keep([2]bool{})
		return nil
	}
	lost, err := h.askFetched(trips, some, workers)
	if err != nil {
		return err
	}
	for i := range lost {
		h.found[i].note(lost[i], trips.Now())
	}
	return nil
}

// askFetched returns how many messages of some of the queues are lost: they neither wait
// nor have these workers fetched them. None are if the server does not allow to look.
func (h *lostMessages) askFetched(trips *layout.RoundTrips, some [2]bool, workers []string) (lost [2]int64, err error) {
	var commands []resp.Command
	for i, name := range h.queues {
		if some[i] {
			commands = h.appendFetched(commands, name, workers)
		}
	}
	c := trips.Ask(commands...)
	allowed := true
	for i := range lost {
		if !some[i] {
			continue
		}
		all, waiting := c.Count(), c.Count()
		lost[i] = all - waiting
		for range 1 + len(workers) {
			fetched := c.OptionalCount()
			allowed = allowed && fetched.Known
			lost[i] -= fetched.N
		}
		lost[i] = max(0, lost[i])
	}
	if !allowed {
		lost = [2]int64{}
	}
	return lost, c.Err()
}

// appendFetched appends what asks how many messages of a queue there are, how many wait, and
// how many these workers have fetched.
func (h *lostMessages) appendFetched(dst []resp.Command, name string, workers []string) []resp.Command {
	full := h.namespace + ":" + name
	dst = append(dst,
		resp.Command{Key: full + ".msgs", Args: []any{"HLEN", full + ".msgs"}},
		resp.Command{Key: full, Args: []any{"LLEN", full}},
		resp.Command{Key: full + oldAcksSuffix, Args: []any{"ZCARD", full + oldAcksSuffix}},
	)
	for _, worker := range workers {
		key := h.namespace + ":" + acksPrefix + worker + "." + name
		dst = append(dst, resp.Command{Key: key, Args: []any{"SCARD", key}})
	}
	return dst
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
