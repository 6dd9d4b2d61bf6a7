package redis

import (
	"fmt"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// A multiStep is a step of several queues at once: each of them takes its own. The next read
// uses the slice of steps again.
type multiStep struct {
	queue *multiQueue
	steps []memberStep
	// parts are the readings of the steps, in the same order.
	parts []backlog.Part
	// known are the names in the registry of the framework, if it was read.
	known []string
	// more reports that more queues match than are read.
	more bool
	// places are those of the commands that several queues may send, by their text.
	places map[string]int
}

// A memberStep is the step of one queue in a multiStep.
type memberStep struct {
	*member
	step step
	done bool
	// finds reports that it does not read a queue, but finds the names of queues.
	finds bool
	// from and to delimit the replies to its commands; places are those of the replies where
	// queues share commands.
	from, to int
	places   []int
}

// newMultiStep returns the first step of a read of the queues of s.
func newMultiStep(s *multiQueue) *multiStep {
	r := &multiStep{queue: s}
	if s.step != nil {
		r.steps = s.step.steps[:0]
	}
	if s.Work != nil {
		r.add(&member{queue: s.query.Queue}, &firstStep{s.Work()})
		r.steps[0].finds = true
	}
	for _, one := range s.order {
		r.add(one, one.first)
	}
	return r
}

// add adds the step of a queue.
func (r *multiStep) add(one *member, first step) {
	r.steps = append(r.steps, memberStep{member: one, step: first})
}

// Commands implements step.
func (r *multiStep) Commands(dst []resp.Command, now time.Time) []resp.Command {
	base := len(dst)
	shared := r.queue.layout.SharesCommands
	if shared {
		r.places = make(map[string]int)
	}
	for i := range r.steps {
		t := &r.steps[i]
		if t.done {
			continue
		}
		begin := len(dst)
		dst = t.step.Commands(dst, now)
		if shared {
			t.places = t.places[:0]
			dst = r.share(dst, begin, base, t)
		} else {
			t.from, t.to = begin-base, len(dst)-base
		}
	}
	return dst
}

// share removes those commands of a step from the end of dst that another step sends too.
func (r *multiStep) share(dst []resp.Command, begin, base int, t *memberStep) []resp.Command {
	kept := dst[:begin]
	var text []byte
	for _, c := range dst[begin:] {
		text = c.AppendText(text[:0])
		place, sent := r.places[string(text)]
		if !sent {
			place = len(kept) - base
			r.places[string(text)] = place
			kept = append(kept, c)
		}
		t.places = append(t.places, place)
	}
	return kept
}

// Conclude implements step.
func (r *multiStep) Conclude(replies []resp.Reply, now time.Time, o *outcome) {
	if missing := len(r.steps) - len(r.parts); missing > 0 {
		r.parts = append(r.parts, make([]backlog.Part, missing)...)
	}
	waiting := false
	var shared []resp.Reply
	for i := range r.steps {
		t := &r.steps[i]
		if t.done {
			continue
		}
		own := replies
		if r.queue.layout.SharesCommands {
			shared = shared[:0]
			for _, place := range t.places {
				shared = append(shared, replies[place])
			}
			own = shared
		} else {
			own = own[t.from:t.to]
		}
		t.step.Conclude(own, now, o)
		switch {
		case o.err != nil:
			o.fail(fmt.Errorf("queue %q: %w", t.queue, o.err))
			return
		case o.next != nil:
			t.step, waiting = o.next, true
		default:
			r.parts[i].Queue, r.parts[i].Reading, t.done = t.queue, o.reading, true
		}
	}
	more := r.includeFound(now)
	if err := r.queue.exceeded(); err != nil {
		o.fail(err)
		return
	}
	if more || waiting {
		o.goOn(r)
		return
	}
	o.know(r.reading(now))
}

// includeFound adds the steps of queues that were found just now, and reports whether there
// are any.
func (r *multiStep) includeFound(now time.Time) bool {
	s := r.queue
	before := len(s.order)
	if len(r.steps) > 0 && r.steps[0].finds && r.steps[0].done {
		for _, part := range r.parts[0].Reading.Parts {
			r.known = append(r.known, part.Queue)
		}
	}
	for _, name := range r.known {
		if s.matches(name) {
			r.more = s.add(name, now) == nil || r.more
		}
	}
	for _, one := range s.order[before:] {
		r.add(one, one.first)
	}
	return len(s.order) > before
}

// reading puts the readings of all queues together.
func (r *multiStep) reading(now time.Time) backlog.Reading {
	parts := r.parts
	// nextFind is when there may be further queues to be found.
	var nextFind time.Time
	for i := range r.steps {
		t, reading := &r.steps[i], &r.parts[i].Reading
		if t.finds {
			nextFind = layout.Earlier(nextFind, reading.NextDue)
			parts = parts[1:]
			continue
		}
		if reading.Backlog() > 0 || !reading.NextDue.IsZero() {
			t.seen = now
		}
		if !t.named && reading.Missing {
			// It was found, so it exists; its keys may go while there is nothing in it.
			reading.Missing, reading.Warning, reading.Hint = false, "", ""
		}
	}
	whole := backlog.Aggregate(parts)
	whole.NextDue = layout.Earlier(whole.NextDue, nextFind)
	if len(r.queue.patterns) == 0 {
		return whole
	}
	// Counters jump when another queue is found.
	whole.Enqueued, whole.Dequeued, whole.Passed = backlog.Count{}, backlog.Count{}, backlog.Count{}
	switch {
	case r.more:
		whole.Quality = max(whole.Quality, backlog.LowerBound)
		whole.AddWarning(fmt.Sprintf("more than %d queues match, and the others are not read", maxQueues))
	case len(parts) == 0:
		whole.Warning, whole.Hint = r.noMatch()
	}
	return whole
}

// noMatch returns the warning that no queue matches, and the hint which queues there are.
func (r *multiStep) noMatch() (warning, hint string) {
	warning = "no queue matches " + strings.Join(r.queue.patterns, ",")
	if r.queue.Registry == nil {
		return warning + " yet", ""
	}
	return warning + " in what " + r.queue.Registry.Framework + " knows", layout.SuggestNames(r.queue.patterns[0], r.known)
}
