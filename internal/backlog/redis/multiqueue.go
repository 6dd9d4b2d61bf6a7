package redis

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/quota"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/keyscan"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

const (
	// maxQueues is how many queues that match patterns one trigger reads.
	maxQueues = 10000
	// memberLife is for how long a queue is read that matches a pattern, after it was
	// last found or had work: in most layouts an empty queue leaves no trace, and it is
	// woken only while it is read.
	memberLife = time.Hour
)

// A multiQueue is the first step of reading several queues of one layout: all of them in the
// round trips that one takes. It lasts from one read to the next.
type multiQueue struct {
	layout   layout.Layout
	query    backlog.Query
	patterns []string
	layout.Discovery
	keys  keyFinder
	quota *quota.Quota

	// names are those that the trigger names.
	names []string
	// over is why the queues are more than may be read; nil if they are not. Until retry
	// they are not counted again: that would cost as much as reading them.
	over  error
	retry time.Time
	// queues are those that are read, by their names.
	queues map[string]*member
	// order are the same: those that the trigger names, as they were written, then those
	// that were found, by name; unsorted reports that some were appended since.
	order    []*member
	unsorted bool
	// revisions are those of the results of the searches that were last taken over, in the
	// order of the searches.
	revisions []uint64
	// grown reports that there are others than at the last read.
	grown bool
	// problem is why not all queues that match may be known; nil if they are.
	problem error
	// more reports that more match than are read.
	more bool
	// step is the first of the read under way.
	step *multiStep
}

// A keyChanger is a first step whose keys change from one read to another.
type keyChanger interface {
	// begin comes before the commands of each read, and takes over what searches have found.
	// So building the commands changes nothing.
	begin(now time.Time)
	// keysChanged reports, once, that there are other keys than before.
	keysChanged() bool
	// keyCommands appends the commands of a read, for the sake of their keys.
	keyCommands(dst []resp.Command, now time.Time) []resp.Command
}

// A member is one queue of a multiQueue.
type member struct {
	queue string
	// first is the first step of reading it.
	first *firstStep
	// named reports that the trigger names it, and found that a search has it; else it was found
	// or had work last at seen.
	named, found bool
	seen         time.Time
}

func newMultiQueue(l layout.Layout, q backlog.Query, queues backlog.Queues, keys keyFinder, all *quota.Quota) *multiQueue {
	s := &multiQueue{layout: l, query: q, keys: keys, quota: all, queues: make(map[string]*member)}
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
func (s *multiQueue) add(queue string, now time.Time) *member {
	one := s.queues[queue]
	if one == nil {
		if len(s.order) >= maxQueues {
			s.more = true
			return nil
		}
		if s.over != nil || !s.quota.Reserve(s.query.Namespace, queue) {
			s.exceed(now)
			return nil
		}
		q := s.query
		q.Queue = queue
		one = &member{queue: queue, first: &firstStep{s.layout.Reader(q, s.keys.For(s.query))}}
		s.queues[queue] = one
		s.order = append(s.order, one)
		s.grown, s.unsorted = true, true
	}
	one.seen = now
	return one
}

// release forgets all queues, which makes room for those of other triggers. The next read
// begins with none.
func (s *multiQueue) release() {
	s.quota.Release(s.query.Namespace, slices.Collect(maps.Keys(s.queues))...)
	clear(s.queues)
	s.order, s.revisions, s.grown = nil, nil, true
}

// exceed notes that there are too many queues.
func (s *multiQueue) exceed(now time.Time) {
	if s.over == nil {
		s.over, s.retry = quota.Error(s.query.Namespace), now.Add(quota.Retry)
	}
}

// exceeded returns why the queues are more than may be read, and then forgets them.
func (s *multiQueue) exceeded() error {
	if s.over != nil && len(s.order) > 0 {
		s.release()
	}
	return s.over
}

// matches reports whether a queue matches any of the patterns.
func (s *multiQueue) matches(queue string) bool {
	return slices.ContainsFunc(s.patterns, func(pattern string) bool { return backlog.Match(pattern, queue) })
}

// JobCounters returns the counters of all queues that are read.
func (s *multiQueue) JobCounters() (keys []string) {
	for _, one := range s.order {
		keys = append(keys, one.first.JobCounters()...)
	}
	return keys
}

// keysChanged reports, once, that there are other keys than before.
func (s *multiQueue) keysChanged() bool {
	grown := s.grown
	s.grown = false
	return grown
}

// refresh takes over what searches have found, and forgets what was not seen for long.
func (s *multiQueue) refresh(now time.Time) {
	if s.over != nil && now.Before(s.retry) {
		return
	}
	s.problem, s.more, s.over = nil, false, nil
	if len(s.order) == 0 && !s.quota.MayFit(s.query.Namespace, s.names) {
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
	failed := s.addMatching(now)
	if s.over != nil {
		return
	}
	s.order = slices.DeleteFunc(s.order, func(one *member) bool {
		if one.found {
			one.seen = now
		}
		gone := !one.named && now.Sub(one.seen) > memberLife
		if gone {
			delete(s.queues, one.queue)
			s.quota.Release(s.query.Namespace, one.queue)
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

// addMatching adds the queues that searches have found. The error is why the last attempt failed.
func (s *multiQueue) addMatching(now time.Time) (failed error) {
	var results []keyscan.Result
	var revisions []uint64
	for _, t := range s.KeyPatterns {
		for _, pattern := range s.patterns {
			found := s.keys.Find(t.Search(pattern), s.query, now)
			s.more = s.more || found.More
			s.problem = cmp.Or(s.problem, found.Problem(now))
			failed = cmp.Or(failed, found.Err)
			results, revisions = append(results, found), append(revisions, found.Revision)
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
			s.addKeys(t, pattern, results[i*len(s.patterns)+j].Keys, now)
		}
	}
	if s.over == nil {
		s.revisions = revisions
	}
	return failed
}

// addKeys adds the queues that keys show and a pattern matches.
func (s *multiQueue) addKeys(t layout.KeyPattern, pattern string, keys []string, now time.Time) {
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

// compareMembers puts those first that the trigger names, as they were written, and then the
// others by name.
func compareMembers(a, b *member) int {
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

// begin implements keyChanger.
func (s *multiQueue) begin(now time.Time) {
	s.refresh(now)
	if s.exceeded() == nil {
		s.step = newMultiStep(s)
	}
}

// Commands implements step.
func (s *multiQueue) Commands(dst []resp.Command, now time.Time) []resp.Command {
	if s.over != nil {
		return dst
	}
	return s.step.Commands(s.registryCommands(dst), now)
}

// registryCommands appends what asks for the names that the framework knows.
func (s *multiQueue) registryCommands(dst []resp.Command) []resp.Command {
	if s.Registry == nil {
		return dst
	}
	for _, set := range s.Registry.Sets {
		dst = append(dst, resp.Command{Key: set, KeyType: 's', Args: []any{"SRANDMEMBER", set, maxQueues}})
	}
	return dst
}

// keyCommands implements grower. A read may be under way: its commands do not change.
func (s *multiQueue) keyCommands(dst []resp.Command, now time.Time) []resp.Command {
	if len(s.order) == 0 {
		s.refresh(now)
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

// Conclude implements step.
func (s *multiQueue) Conclude(replies []resp.Reply, now time.Time, o *outcome) {
	if err := cmp.Or(s.over, s.problem); err != nil {
		o.fail(err)
		return
	}
	if s.Registry != nil {
		c := resp.NewDecoder(replies)
		for range s.Registry.Sets {
			names := s.Registry.Queues(c)
			s.step.more = s.step.more || len(names) >= maxQueues
			s.step.known = append(s.step.known, names...)
		}
		if c.Err() != nil {
			o.fail(c.Err())
			return
		}
		replies = c.Rest()
	}
	s.step.more = s.step.more || s.more
	s.step.Conclude(replies, now, o)
}
