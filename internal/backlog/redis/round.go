package redis

import (
	"fmt"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// A round is a step of several queues at once: each of them takes its own.
type round struct {
	several *several
	turns   []turn
	// known are the names that the framework knows, as far as they were looked for.
	known []string
	// more says that more queues match than are read. It is of this read: to learn the
	// keys of a query its commands are made once more, which begins a new round.
	more bool
	// places are those of the commands that several queues may send, by their text.
	places map[string]int
}

// A turn is the step of one queue in a round.
type turn struct {
	*oneOf
	step    step
	reading backlog.Reading
	done    bool
	// finds says that it is no queue that is read, but names of queues that are found.
	finds bool
	// replies are the places of the replies to its commands.
	replies []int
}

func (r *round) commands(dst []command, now time.Time) []command {
	base := len(dst)
	r.places = make(map[string]int)
	for i := range r.turns {
		t := &r.turns[i]
		if t.done {
			continue
		}
		begin := len(dst)
		t.replies = t.replies[:0]
		dst = t.step.commands(dst, now)
		if r.several.layout.shared {
			dst = r.share(dst, begin, base, t)
			continue
		}
		for place := begin; place < len(dst); place++ {
			t.replies = append(t.replies, place-base)
		}
	}
	return dst
}

// share takes the commands of a turn, which are at the end of dst, out again where
// another turn sends the same.
func (r *round) share(dst []command, begin, base int, t *turn) []command {
	kept := dst[:begin]
	for _, c := range dst[begin:] {
		text := fmt.Sprintf("%#v", c.args)
		place, sent := r.places[text]
		if !sent {
			place = len(kept) - base
			r.places[text] = place
			kept = append(kept, c)
		}
		t.replies = append(t.replies, place)
	}
	return kept
}

func (r *round) outcome(replies []reply, now time.Time) outcome {
	waiting := false
	var own []reply
	for i := range r.turns {
		t := &r.turns[i]
		if t.done {
			continue
		}
		own = own[:0]
		for _, place := range t.replies {
			own = append(own, replies[place])
		}
		o := t.step.outcome(own, now)
		switch {
		case o.err != nil:
			return fail(fmt.Errorf("queue %q: %w", t.queue, o.err))
		case o.next != nil:
			t.step, waiting = o.next, true
		default:
			t.reading, t.done = o.reading, true
		}
	}
	more := r.include(now)
	if err := r.several.exceeded(); err != nil {
		return fail(err)
	}
	if more || waiting {
		return outcome{next: r}
	}
	return done(r.reading(now))
}

// include gives queues that were found just now their turns, and tells whether there
// are any.
func (r *round) include(now time.Time) bool {
	s := r.several
	before := len(s.order)
	for _, t := range r.turns {
		if t.finds && t.done {
			for _, part := range t.reading.Parts {
				r.known = append(r.known, part.Queue)
			}
		}
	}
	for _, name := range r.known {
		if s.matches(name) {
			r.more = s.add(name, now) == nil || r.more
		}
	}
	for _, one := range s.order[before:] {
		r.turns = append(r.turns, turn{oneOf: one, step: one.first})
	}
	return len(s.order) > before
}

// reading puts the readings of all queues together.
func (r *round) reading(now time.Time) backlog.Reading {
	parts := make([]backlog.Part, 0, len(r.turns))
	// look is when there may be further queues to be found.
	var look time.Time
	for i := range r.turns {
		t := &r.turns[i]
		if t.finds {
			look = earlier(look, t.reading.NextDue)
			continue
		}
		if t.reading.Backlog() > 0 || !t.reading.NextDue.IsZero() {
			t.seen = now
		}
		if !t.named && t.reading.Missing {
			// It was found, so it exists; its keys may go while there is nothing in it.
			t.reading.Missing, t.reading.Warning, t.reading.Hint = false, "", ""
		}
		parts = append(parts, backlog.Part{Queue: t.queue, Reading: t.reading})
	}
	whole := backlog.Together(parts)
	whole.NextDue = earlier(whole.NextDue, look)
	if len(r.several.patterns) == 0 {
		return whole
	}
	// Counters jump when another queue is found.
	whole.Enqueued, whole.Dequeued, whole.Passed = backlog.Count{}, backlog.Count{}, backlog.Count{}
	switch {
	case r.more:
		whole.Quality = max(whole.Quality, backlog.LowerBound)
		whole.AddWarning(fmt.Sprintf("more than %d queues match, and the others are not read", severalMost))
	case len(parts) == 0:
		whole.Warning, whole.Hint = r.nothing()
	}
	return whole
}

// nothing returns the warning that no queue matches, and the hint which there are.
func (r *round) nothing() (warning, hint string) {
	warning = "no queue matches " + strings.Join(r.several.patterns, ",")
	if r.several.registry == nil {
		return warning + " yet", ""
	}
	return warning + " in what " + r.several.registry.framework + " knows", others(r.several.patterns[0], r.known)
}
