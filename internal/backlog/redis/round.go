package redis

import (
	"fmt"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// A round is a step of several queues at once: each of them takes its own. Its turns are used again by the next read.
type round struct {
	several *several
	turns   []turn
	// parts are the readings of the turns, in the same order.
	parts []backlog.Part
	// known are the names that the framework knows, as far as they were looked for.
	known []string
	// more says that more queues match than are read.
	more bool
	// places are those of the commands that several queues may send, by their text.
	places map[string]int
}

// A turn is the step of one queue in a round.
type turn struct {
	*oneOf
	step layout.Step
	done bool
	// finds says that it is no queue that is read, but names of queues that are found.
	finds bool
	// from and to delimit the replies to its commands; places are those of the replies where
	// queues share commands.
	from, to int
	places   []int
}

// newRound returns the round that reads the queues of s.
func newRound(s *several) *round {
	r := &round{several: s}
	if s.round != nil {
		r.turns = s.round.turns[:0]
	}
	if s.Work != nil {
		r.add(&oneOf{queue: s.query.Queue}, s.Work())
		r.turns[0].finds = true
	}
	for _, one := range s.order {
		r.add(one, one.first)
	}
	return r
}

// add gives a queue its turn.
func (r *round) add(one *oneOf, first layout.Step) {
	r.turns = append(r.turns, turn{oneOf: one, step: first})
}

// Commands implements layout.Step.
func (r *round) Commands(dst []resp.Command, now time.Time) []resp.Command {
	base := len(dst)
	shared := r.several.layout.SharesCommands
	if shared {
		r.places = make(map[string]int)
	}
	for i := range r.turns {
		t := &r.turns[i]
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

// share takes the commands of a turn, which are at the end of dst, out again where
// another turn sends the same.
func (r *round) share(dst []resp.Command, begin, base int, t *turn) []resp.Command {
	kept := dst[:begin]
	for _, c := range dst[begin:] {
		text := fmt.Sprintf("%#v", c.Args)
		place, sent := r.places[text]
		if !sent {
			place = len(kept) - base
			r.places[text] = place
			kept = append(kept, c)
		}
		t.places = append(t.places, place)
	}
	return kept
}

// Outcome implements layout.Step.
func (r *round) Outcome(replies []resp.Reply, now time.Time) layout.Outcome {
	if missing := len(r.turns) - len(r.parts); missing > 0 {
		r.parts = append(r.parts, make([]backlog.Part, missing)...)
	}
	waiting := false
	var shared []resp.Reply
	for i := range r.turns {
		t := &r.turns[i]
		if t.done {
			continue
		}
		own := replies
		if r.several.layout.SharesCommands {
			shared = shared[:0]
			for _, place := range t.places {
				shared = append(shared, replies[place])
			}
			own = shared
		} else {
			own = own[t.from:t.to]
		}
		o := t.step.Outcome(own, now)
		switch {
		case o.Err != nil:
			return layout.Fail(fmt.Errorf("queue %q: %w", t.queue, o.Err))
		case o.Next != nil:
			t.step, waiting = o.Next, true
		default:
			r.parts[i].Queue, r.parts[i].Reading, t.done = t.queue, o.Reading, true
		}
	}
	more := r.include(now)
	if err := r.several.exceeded(); err != nil {
		return layout.Fail(err)
	}
	if more || waiting {
		return layout.Outcome{Next: r}
	}
	return layout.Done(r.reading(now))
}

// include gives queues that were found just now their turns, and tells whether there
// are any.
func (r *round) include(now time.Time) bool {
	s := r.several
	before := len(s.order)
	if len(r.turns) > 0 && r.turns[0].finds && r.turns[0].done {
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
func (r *round) reading(now time.Time) backlog.Reading {
	parts := r.parts
	// look is when there may be further queues to be found.
	var look time.Time
	for i := range r.turns {
		t, reading := &r.turns[i], &r.parts[i].Reading
		if t.finds {
			look = layout.Earlier(look, reading.NextDue)
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
	whole := backlog.Together(parts)
	whole.NextDue = layout.Earlier(whole.NextDue, look)
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
	if r.several.Registry == nil {
		return warning + " yet", ""
	}
	return warning + " in what " + r.several.Registry.Framework + " knows", layout.SuggestNames(r.several.patterns[0], r.known)
}
