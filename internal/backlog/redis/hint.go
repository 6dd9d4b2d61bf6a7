package redis

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
)

// A queueHint is what is known of the neighbours of a queue that does not exist. It is
// computed again only when a search has found other keys.
type queueHint struct {
	discovery layout.Discovery
	names     backlog.Queues
	revision  uint64
	text      string
}

// hint completes Reading.Hint of a queue that does not exist: the usual mistakes are a
// wrong prefix, under which another queue of that name exists, and a wrong name next to
// others of the same prefix. The keys are searched in the background, so the first
// reading has no hint. Where the server does not allow SCAN no reading has one. A layout
// in which an empty queue does not exist either gives no Warning, and gets no hint.
func (s *source) hint(p *plan, r *backlog.Reading, now time.Time) {
	if !r.Missing || r.Warning == "" {
		if p.hint != nil {
			p.hint = nil
		}
		return
	}
	if p.hint == nil {
		p.hint = s.newHint(p.query)
	}
	h := p.hint
	if len(h.names) == 0 {
		return
	}
	kinds := h.kinds()
	found := make([][]string, len(kinds))
	revision := uint64(1)
	for i, t := range kinds {
		last := s.keys.For(p.query).Hint(t.SearchAnyPrefix(), now)
		found[i] = last.Keys
		revision += last.Revision
	}
	if revision != h.revision {
		h.revision, h.text = revision, h.describe(kinds, found)
	}
	if strings.Contains(r.Hint, h.text) {
		// Its registry says so already.
		return
	}
	r.Hint = strings.TrimPrefix(strings.TrimSuffix(r.Hint+"; "+h.text, "; "), "; ")
}

func (s *source) newHint(q backlog.Query) *queueHint {
	l := s.layouts[q.Layout]
	names, err := backlog.ParseQueues(q.Queue)
	if err != nil || l.Discover == nil {
		return &queueHint{}
	}
	return &queueHint{discovery: l.Discover(q.Params), names: names}
}

// kinds returns the kinds of keys that are searched under any prefix.
func (h *queueHint) kinds() []layout.KeyPattern {
	if h.discovery.AnyPrefix != nil {
		return h.discovery.AnyPrefix
	}
	if h.discovery.Registry != nil {
		return nil
	}
	return h.discovery.KeyPatterns
}

// describe returns the text of the hint; empty if there is none.
func (h *queueHint) describe(kinds []layout.KeyPattern, found [][]string) string {
	var prefixes, signs, names []string
	for i, t := range kinds {
		own := strings.TrimSuffix(t.Prefix, t.FixedPrefix)
		for _, key := range found[i] {
			if prefix, is := t.PrefixOf(key, h.names); is && prefix != own {
				prefixes = append(prefixes, prefix)
			}
			if prefix, is := t.FrameworkPrefix(key); is && prefix != own {
				signs = append(signs, prefix)
			}
			if name, is := t.Queue(key); is {
				names = append(names, name)
			}
		}
	}
	switch {
	case len(prefixes) > 0:
		return "a queue of this name exists with the " + h.prefixed() + " " + quoted(prefixes)
	case len(signs) > 0:
		return "the framework is at work with the " + h.prefixed() + " " + quoted(signs)
	case len(names) > 0 && h.discovery.Registry == nil:
		return layout.SuggestNames(h.names[0], names)
	default:
		return ""
	}
}

// quoted returns the first of some prefixes, each once.
func quoted(prefixes []string) string {
	slices.Sort(prefixes)
	prefixes = slices.Compact(prefixes)
	prefixes = prefixes[:min(len(prefixes), layout.MaxNames)]
	for i := range prefixes {
		prefixes[i] = strconv.Quote(prefixes[i])
	}
	return strings.Join(prefixes, ", ")
}

// prefixed returns the name of the parameter that would have to be another.
func (h *queueHint) prefixed() string {
	if h.discovery.PrefixParameter == "" {
		return "prefix"
	}
	return h.discovery.PrefixParameter
}
