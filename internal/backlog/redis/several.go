package redis

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

const (
	// severalMost is how many queues that match patterns one trigger reads.
	severalMost = 10000
	// severalLife is for how long a queue is read that matches a pattern, after it was
	// last found or had work: in most layouts an empty queue leaves no trace, and it is
	// woken only while it is read.
	severalLife = time.Hour
	// severalRetry is how long a trigger of which there are too many queues is refused
	// before its queues are counted again.
	severalRetry = 30 * time.Second
)

// several is the first step of reading several queues of one layout: all of them in
// the round trips that one takes. It lasts from one read to the next.
type several struct {
	layout   layout.Layout
	query    backlog.Query
	patterns []string
	layout.Discovery
	finder *finder
	ledger *ledger

	// names are those that a person named, and read is when they were read last.
	names []string
	read  time.Time
	// over is why the queues are more than may be read; nil if they are not. Until retry
	// they are not counted again: that would cost as much as reading them.
	over  error
	retry time.Time
	// queues are those that are read, by their names.
	queues map[string]*oneOf
	// order are the same: those that a person named, as they were written, then those
	// that were found, by name; unsorted says that some were appended since.
	order    []*oneOf
	unsorted bool
	// revisions are those of what the finder had found when it was last taken over, in the
	// order of the searches.
	revisions []uint64
	// grown says that there are others than at the last read.
	grown bool
	// problem is why not all queues that match may be known; nil if they are.
	problem error
	// more says that more match than are read.
	more bool
	// round is the first of the read under way.
	round *round
}

// A grower is a first step whose keys change from one read to another.
type grower interface {
	// grew tells, once, that there are other keys than before.
	grew() bool
	// watched appends the commands of a read, for the sake of their keys.
	watched(dst []resp.Command, now time.Time) []resp.Command
}

// A oneOf is one queue of several.
type oneOf struct {
	queue string
	// first is the first step of reading it.
	first layout.Step
	// named says that a person named it, and found that the finder has it; else it was found
	// or had work last at seen.
	named, found bool
	seen         time.Time
}

func newSeveral(l layout.Layout, q backlog.Query, queues backlog.Queues, f *finder, all *ledger) *several {
	s := &several{layout: l, query: q, finder: f, ledger: all, queues: make(map[string]*oneOf)}
	for _, name := range queues {
		if backlog.IsPattern(name) {
			s.patterns = append(s.patterns, name)
			continue
		}
		s.names = append(s.names, backlog.Unescape(name))
	}
	if len(s.patterns) > 0 {
		s.Discovery = l.Discover(q.Params)
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
		if s.over != nil || !s.ledger.take(s, queue, now) {
			s.exceed(now)
			return nil
		}
		q := s.query
		q.Queue = queue
		one = &oneOf{queue: queue, first: s.layout.Prepare(q, querySearch{finder: s.finder, query: s.query})}
		s.queues[queue] = one
		s.order = append(s.order, one)
		s.grown, s.unsorted = true, true
	}
	one.seen = now
	return one
}

// drop forgets all queues, which makes room for those of other triggers. The next read
// begins with none.
func (s *several) drop() {
	for queue := range s.queues {
		s.ledger.give(s, queue)
	}
	delete(s.ledger.members, s)
	clear(s.queues)
	s.order, s.revisions, s.grown = nil, nil, true
}

// exceed notes that there are too many queues.
func (s *several) exceed(now time.Time) {
	if s.over == nil {
		s.over, s.retry = errManyQueues(s.query.Namespace), now.Add(severalRetry)
	}
}

// exceeded returns why the queues are more than may be read, and then forgets them.
func (s *several) exceeded() error {
	if s.over != nil && len(s.order) > 0 {
		s.drop()
	}
	return s.over
}

// matches tells whether a queue matches any of the patterns.
func (s *several) matches(queue string) bool {
	return slices.ContainsFunc(s.patterns, func(pattern string) bool { return backlog.Match(pattern, queue) })
}

// JobCounters implements counting, for all queues that are read.
func (s *several) JobCounters() (keys []string) {
	for _, one := range s.order {
		if c, counts := one.first.(layout.JobCounter); counts {
			keys = append(keys, c.JobCounters()...)
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
	if s.read = now; s.over != nil && now.Before(s.retry) {
		return
	}
	s.problem, s.more, s.over = nil, false, nil
	if len(s.order) == 0 && !s.ledger.fits(s, s.names, now) {
		s.exceed(now)
		return
	}
	if len(s.order) == 0 {
		for _, name := range s.names {
			if one := s.add(name, now); one != nil {
				one.named = true
			}
		}
	}
	failed := s.find(now)
	if s.over != nil {
		return
	}
	s.order = slices.DeleteFunc(s.order, func(one *oneOf) bool {
		if one.found {
			one.seen = now
		}
		gone := !one.named && now.Sub(one.seen) > severalLife
		if gone {
			delete(s.queues, one.queue)
			s.ledger.give(s, one.queue)
			s.grown = true
		}
		return gone
	})
	if len(s.order) == 0 {
		// No reading of a queue would show that the server does not answer.
		s.problem = cmp.Or(s.problem, failed)
	}
	if s.unsorted {
		slices.SortStableFunc(s.order, compareMembers)
		s.unsorted = false
	}
}

// find adds the queues that the finder has found. The error is why its last attempt failed.
func (s *several) find(now time.Time) (failed error) {
	var results []findings
	var revisions []uint64
	for _, t := range s.KeyPatterns {
		for _, pattern := range s.patterns {
			found := s.finder.ask(t.Search(pattern), s.query, now)
			s.more = s.more || found.more
			s.problem = cmp.Or(s.problem, found.problem(now))
			failed = cmp.Or(failed, found.err)
			results, revisions = append(results, found), append(revisions, found.revision)
		}
	}
	if s.revisions != nil && slices.Equal(revisions, s.revisions) {
		return failed
	}
	for _, one := range s.order {
		one.found = false
	}
	for i, t := range s.KeyPatterns {
		for j, pattern := range s.patterns {
			s.takeOver(t, pattern, results[i*len(s.patterns)+j].keys, now)
		}
	}
	if s.over == nil {
		s.revisions = revisions
	}
	return failed
}

// takeOver adds the queues that keys show and a pattern matches.
func (s *several) takeOver(t layout.KeyPattern, pattern string, keys []string, now time.Time) {
	for _, key := range keys {
		if s.over != nil {
			return
		}
		if queue, is := t.Queue(key); is && backlog.Match(pattern, queue) {
			if one := s.add(queue, now); one != nil {
				one.found = true
			}
		}
	}
}

// compareMembers puts those first that a person named, as they were written, and then the
// others by name.
func compareMembers(a, b *oneOf) int {
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
}

// errNotSearched is a pattern whose queues have not been looked for yet.
var errNotSearched = fmt.Errorf("%w: the keys of the server have not been gone through yet", backlog.ErrUnavailable)

// Commands implements layout.Step.
func (s *several) Commands(dst []resp.Command, now time.Time) []resp.Command {
	s.look(now)
	if s.exceeded() != nil {
		return dst
	}
	dst = s.registryCommands(dst)
	s.round = newRound(s)
	return s.round.Commands(dst, now)
}

// registryCommands appends what asks for the names that the framework knows.
func (s *several) registryCommands(dst []resp.Command) []resp.Command {
	if s.Registry == nil {
		return dst
	}
	for _, set := range s.Registry.Sets {
		dst = append(dst, resp.Command{Key: set, KeyType: 's', Args: []any{"SRANDMEMBER", set, severalMost}})
	}
	return dst
}

// watched implements grower. A read may be under way: its commands do not change.
func (s *several) watched(dst []resp.Command, now time.Time) []resp.Command {
	if len(s.order) == 0 {
		s.look(now)
	}
	if s.over != nil {
		return dst
	}
	dst = s.registryCommands(dst)
	if s.Work != nil {
		dst = s.Work().Commands(dst, now)
	}
	for _, one := range s.order {
		dst = one.first.Commands(dst, now)
	}
	return dst
}

// Outcome implements layout.Step.
func (s *several) Outcome(replies []resp.Reply, now time.Time) layout.Outcome {
	if err := cmp.Or(s.over, s.problem); err != nil {
		return layout.Fail(err)
	}
	if s.Registry != nil {
		c := resp.NewDecoder(replies)
		for range s.Registry.Sets {
			names := s.Registry.Queues(c)
			s.round.more = s.round.more || len(names) >= severalMost
			s.round.known = append(s.round.known, names...)
		}
		if c.Err() != nil {
			return layout.Fail(c.Err())
		}
		replies = c.Rest()
	}
	s.round.more = s.round.more || s.more
	return s.round.Outcome(replies, now)
}
