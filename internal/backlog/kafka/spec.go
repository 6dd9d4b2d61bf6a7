package kafka

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/quota"
)

// maxTopics is how many topics that match patterns one trigger reads.
const maxTopics = 10_000

// A groupKey names a group. Both kinds share one space of names in Kafka, and differ in how they are
// asked.
type groupKey struct {
	name  string
	share bool
}

// String names the group in an error.
func (k groupKey) String() string {
	if k.share {
		return fmt.Sprintf("share group %q", k.name)
	}
	return fmt.Sprintf("group %q", k.name)
}

// A spec is a query that is ready for use. It lasts from one read to the next.
type spec struct {
	query           backlog.Query
	names, patterns []string
	several         bool
	group           groupKey
	missing         string
	committed       bool
	quota           *quota.Quota

	// used is when it was read last.
	used time.Time
	// reserved are the topics that count for the quota of the namespace. Until retry they are not
	// counted again after they were too many.
	reserved map[string]struct{}
	retry    time.Time
	// matched are the topics that match, of the list of all topics listed.
	matched []string
	listed  []string
	more    bool
	// counted reports that reserved has them all.
	counted bool
}

// newSpec returns the spec of a query. The parser of triggers has checked it; a query that was not
// parsed there may be wrong.
func newSpec(q backlog.Query, all *quota.Quota) (*spec, error) {
	if q.Layout != layoutTopic {
		return nil, fmt.Errorf("%w: no layout %q", backlog.ErrMismatch, q.Layout)
	}
	if err := checkQuery(q); err != nil {
		return nil, fmt.Errorf("%w: %w", backlog.ErrMismatch, err)
	}
	queues, err := backlog.ParseQueues(q.Queue)
	if err != nil {
		return nil, fmt.Errorf("%w: %s %w", backlog.ErrMismatch, layoutTopic, err)
	}
	s := &spec{
		query: q, several: queues.Several(), quota: all, reserved: make(map[string]struct{}),
		missing:   cmp.Or(q.Params.Get(paramMissingOffset), missingEarliest),
		committed: q.Params.Get(paramIsolationLevel) == readCommitted,
		group:     groupKey{name: q.Params.Get(paramConsumerGroup)},
	}
	if share := q.Params.Get(paramShareGroup); share != "" {
		s.group = groupKey{name: share, share: true}
	}
	for _, name := range queues {
		if backlog.IsPattern(name) {
			s.patterns = append(s.patterns, name)
		} else {
			s.names = append(s.names, backlog.Unescape(name))
		}
	}
	return s, nil
}

// life is how long the spec is remembered that is not read any more.
func (s *spec) life() time.Duration {
	if s.several {
		return quota.Life
	}
	return unusedAfter
}

// release returns what the topics count for.
func (s *spec) release() {
	s.quota.Release(s.query.Namespace, slices.Collect(maps.Keys(s.reserved))...)
	clear(s.reserved)
	s.counted = false
}

// match takes over a list of all topics, sorted.
func (s *spec) match(all []string) {
	if len(s.listed) == len(all) && (len(all) == 0 || &s.listed[0] == &all[0]) {
		return
	}
	s.listed, s.matched, s.more, s.counted = all, nil, false, false
	for _, name := range all {
		if slices.Contains(s.names, name) || !slices.ContainsFunc(s.patterns, func(p string) bool { return matches(p, name) }) {
			continue
		}
		if len(s.matched) == maxTopics {
			s.more = true
			return
		}
		s.matched = append(s.matched, name)
	}
}

// matches reports whether a pattern means a topic. Those of Kafka itself must be asked for.
func matches(pattern, name string) bool {
	return backlog.Match(pattern, name) && (!isInternal(name) || strings.HasPrefix(pattern, "__"))
}

// reserve counts the topics for the quota of the namespace. Topics that are gone are released.
func (s *spec) reserve(now time.Time) error {
	if !s.several || s.counted {
		return nil
	}
	if now.Before(s.retry) {
		return quota.Error(s.query.Namespace)
	}
	current := make(map[string]struct{}, len(s.names)+len(s.matched))
	for _, names := range [][]string{s.names, s.matched} {
		for _, name := range names {
			current[name] = struct{}{}
		}
	}
	for name := range s.reserved {
		if _, still := current[name]; !still {
			s.quota.Release(s.query.Namespace, name)
			delete(s.reserved, name)
		}
	}
	for name := range current {
		if _, counted := s.reserved[name]; counted {
			continue
		}
		if !s.quota.Reserve(s.query.Namespace, name) {
			s.release()
			s.retry = now.Add(quota.Retry)
			return quota.Error(s.query.Namespace)
		}
		s.reserved[name] = struct{}{}
	}
	s.counted = true
	return nil
}
