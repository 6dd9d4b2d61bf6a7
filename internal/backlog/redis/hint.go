package redis

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// hint completes the warning about a queue that is not there: a framework that keeps
// no list of its queues may have one of that name with another prefix, which is the
// usual mistake, or others with the same. It is looked for in the background, so the
// first reading does without; where the server does not allow SCAN all do.
func (s *source) hint(q backlog.Query, r *backlog.Reading, now time.Time) {
	if !r.Missing || r.Warning == "" || r.Parts != nil {
		return
	}
	l := s.layouts[q.Layout]
	if l.discover == nil {
		return
	}
	d := l.discover(q.Params)
	if d.registry != nil {
		return
	}
	queue := backlog.Unescape(q.Queue)
	var prefixes, names []string
	for _, t := range d.traces {
		for key := range s.finder.hint(t.elsewhere(queue), q, now).keys {
			prefixes = append(prefixes, strings.TrimSuffix(key, t.fixed+queue+t.suffix))
		}
		for key := range s.finder.hint(t.search("*"), q, now).keys {
			if name, is := t.queue(key); is {
				names = append(names, name)
			}
		}
	}
	slices.Sort(prefixes)
	prefixes = slices.Compact(prefixes)
	switch {
	case len(prefixes) > 0:
		for i := range prefixes {
			prefixes[i] = strconv.Quote(prefixes[i])
		}
		r.Warning += "; there is one with the prefix " + strings.Join(prefixes[:min(len(prefixes), registryNames)], ", ")
	case len(names) > 0:
		r.Warning += fmt.Sprintf("; with this prefix there is no %q%s", queue, others(queue, names))
	}
}
