package redis

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

const (
	// severalMost is how many queues that match patterns one trigger reads.
	severalMost = 10000
	// severalLife is for how long a queue is read that matches a pattern, after it was
	// last found or had work: in most layouts an empty queue leaves no trace, and it is
	// woken only while it is read.
	severalLife = time.Hour
)

// several is the first step of reading several queues of one layout: all of them in
// the round trips that one takes. It lasts from one read to the next.
type several struct {
	layout   layout
	query    backlog.Query
	patterns []string
	discovery
	finder *finder

	// queues are those that are read, by their names.
	queues map[string]*oneOf
	// order are the same: those that a person named, as they were written, then those
	// that were found, by name.
	order []*oneOf
	// grown says that there are others than at the last read.
	grown bool
	// problem is why not all queues that match may be known; nil if they are.
	problem error
	// more says that more match than are read.
	more bool
	// round is the first of the read under way.
	round *round
}

// A oneOf is one queue of several.
type oneOf struct {
	queue string
	// first is the first step of reading it.
	first step
	// named says that a person named it; else it was found or had work last at seen.
	named bool
	seen  time.Time
}

func newSeveral(l layout, q backlog.Query, queues backlog.Queues, f *finder) *several {
	s := &several{layout: l, query: q, finder: f, queues: make(map[string]*oneOf)}
	for _, name := range queues {
		if backlog.IsPattern(name) {
			s.patterns = append(s.patterns, name)
			continue
		}
		s.add(backlog.Unescape(name), time.Time{}).named = true
	}
	if len(s.patterns) > 0 {
		s.discovery = l.discover(q.Params)
	}
	return s
}

// add begins to read a queue, or notes that it was found again. It returns nil if
// there are too many.
func (s *several) add(queue string, now time.Time) *oneOf {
	one := s.queues[queue]
	if one == nil {
		if len(s.order) >= severalMost {
			s.more = true
			return nil
		}
		q := s.query
		q.Queue = queue
		one = &oneOf{queue: queue, first: s.layout.prepare(q, keySearch{finder: s.finder, query: s.query})}
		s.queues[queue] = one
		s.order = append(s.order, one)
		s.grown = true
	}
	one.seen = now
	return one
}

// matches tells whether a queue matches any of the patterns.
func (s *several) matches(queue string) bool {
	return slices.ContainsFunc(s.patterns, func(pattern string) bool { return backlog.Match(pattern, queue) })
}

// counters implements counting, for all queues that are read.
func (s *several) counters() (keys []string) {
	for _, one := range s.order {
		if c, counts := one.first.(counting); counts {
			keys = append(keys, c.counters()...)
		}
	}
	return keys
}

// grew tells, once, that there are other keys than before.
func (s *several) grew() bool {
	grown := s.grown
	s.grown = false
	return grown
}

// look takes over what the finder has found, and forgets what was not seen for long.
func (s *several) look(now time.Time) {
	s.problem, s.more = nil, false
	for _, t := range s.traces {
		for _, pattern := range s.patterns {
			found := s.finder.ask(t.search(pattern), s.query, now)
			s.more = s.more || found.more
			s.problem = cmp.Or(s.problem, found.problem(now))
			for key := range found.keys {
				if queue, is := t.queue(key); is && backlog.Match(pattern, queue) {
					s.add(queue, now)
				}
			}
		}
	}
	s.order = slices.DeleteFunc(s.order, func(one *oneOf) bool {
		gone := !one.named && now.Sub(one.seen) > severalLife
		if gone {
			delete(s.queues, one.queue)
			s.grown = true
		}
		return gone
	})
	slices.SortStableFunc(s.order, func(a, b *oneOf) int {
		switch {
		case a.named && b.named:
			return 0
		case a.named:
			return -1
		case b.named:
			return 1
		default:
			return cmp.Compare(a.queue, b.queue)
		}
	})
}

// errNotSearched is a pattern whose queues have not been looked for yet.
var errNotSearched = fmt.Errorf("%w: the keys of the server have not been gone through yet", backlog.ErrUnavailable)

func (s *several) commands(dst []command, now time.Time) []command {
	s.look(now)
	if s.registry != nil {
		for _, set := range s.registry.sets {
			dst = append(dst, command{key: set, class: 's', args: []any{"SRANDMEMBER", set, severalMost}})
		}
	}
	s.round = &round{several: s}
	if s.work != nil {
		s.round.turns = append(s.round.turns, turn{oneOf: &oneOf{queue: s.query.Queue}, step: s.work(), finds: true})
	}
	for _, one := range s.order {
		s.round.turns = append(s.round.turns, turn{oneOf: one, step: one.first})
	}
	return s.round.commands(dst, now)
}

func (s *several) outcome(replies []reply, now time.Time) outcome {
	if s.problem != nil {
		return fail(s.problem)
	}
	if s.registry != nil {
		c := &counts{replies: replies}
		for range s.registry.sets {
			names := s.registry.queues(c)
			s.round.more = s.round.more || len(names) >= severalMost
			s.round.known = append(s.round.known, names...)
		}
		if c.err != nil {
			return fail(c.err)
		}
		replies = c.replies
	}
	s.round.more = s.round.more || s.more
	return s.round.outcome(replies, now)
}
