package rabbitmq

import (
	"fmt"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/quota"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq/management"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq/tap"
)

const (
	// maxMatching is how many queues that match patterns one trigger reads.
	maxMatching = 10_000
	// matchBudget is how many steps the patterns of one trigger may take with one listing: some 20 ms.
	matchBudget = 4_000_000
)

// A plan is which queues a query means. It lasts from one read to the next, and the goroutine that
// reads owns it.
type plan struct {
	query backlog.Query
	// several reports that the query is about several queues, or a pattern.
	several         bool
	names, patterns []string
	// stream reports that it is about streams, which it then matches in place of queues.
	stream bool
	quota  *quota.Quota
	// tap is what wakes the query; tapped reports that it wants that.
	tap    tap.Key
	tapped bool

	// queues are those that are read: names, then those that match.
	queues []string
	// revision is that of the listing that was matched; streams reports that streams match too.
	revision uint64
	streams  bool
	// over is why the queues are more than may be read; until retry they are not counted again.
	over  error
	retry time.Time
	read  time.Time
}

// newPlan returns a plan for a query. The error is a query that no plan is possible for.
func newPlan(q backlog.Query, all *quota.Quota) (*plan, error) {
	if q.Layout != layoutQueue && q.Layout != layoutStream {
		return nil, fmt.Errorf("%w: rabbitmq has no layout %q", backlog.ErrMismatch, backlog.Line(q.Layout))
	}
	if q.Workers {
		return nil, fmt.Errorf("%w: the layout %s does not show which workers are busy", backlog.ErrMismatch, q.Layout)
	}
	queues, err := backlog.ParseQueues(q.Queue)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", backlog.ErrMismatch, err)
	}
	if err := tap.Check(q); err != nil {
		return nil, fmt.Errorf("%w: %w", backlog.ErrMismatch, err)
	}
	p := &plan{query: q, several: queues.Several(), quota: all, stream: q.Layout == layoutStream}
	p.tap, p.tapped = tap.NewKey(q)
	for _, name := range queues {
		if backlog.IsPattern(name) {
			p.patterns = append(p.patterns, name)
			continue
		}
		name = backlog.Unescape(name)
		if len(name) > management.MaxQueueName {
			return nil, fmt.Errorf("%w: the name of a queue has %d bytes, want at most %d", backlog.ErrMismatch, len(name), management.MaxQueueName)
		}
		p.names = append(p.names, name)
	}
	if len(p.names)+len(p.patterns) == 0 {
		return nil, fmt.Errorf("%w: no queue is named", backlog.ErrMismatch)
	}
	if !p.several {
		p.queues = p.names
	}
	return p, nil
}

// life is how long the plan is remembered that is not read any more.
func (p *plan) life() time.Duration {
	if p.several {
		return quota.Life
	}
	return forgetAfter
}

// release forgets all queues of several. The next read begins with none.
func (p *plan) release() {
	if !p.several {
		return
	}
	p.quota.Release(p.query.Namespace, p.queues...)
	p.queues, p.revision = nil, 0
}

// refresh takes over what a listing has. The error is why it is not known which queues there are.
func (p *plan) refresh(l *management.Listing, failure error, now time.Time) (pending bool, err error) {
	p.read = now
	if !p.several {
		return false, nil
	}
	if p.over != nil && now.Before(p.retry) {
		return false, p.over
	}
	p.over = nil
	if len(p.patterns) > 0 && l == nil {
		if failure != nil {
			return false, fmt.Errorf("ask the management API which queues there are: %w", failure)
		}
		return true, fmt.Errorf("%w: the queues have not been listed yet", backlog.ErrUnavailable)
	}
	if len(p.queues) > 0 && (len(p.patterns) == 0 || p.revision == l.Revision) {
		return false, nil
	}
	if err := p.match(l); err != nil {
		p.release()
		p.over, p.retry = err, now.Add(quota.Retry)
		return false, err
	}
	return false, nil
}

// match sets the queues.
func (p *plan) match(l *management.Listing) error {
	p.release()
	p.streams = false
	seen := make(map[string]bool, len(p.names))
	for _, name := range p.names {
		if seen[name] {
			continue
		}
		seen[name] = true
		if err := p.add(name); err != nil {
			return err
		}
	}
	if len(p.patterns) == 0 {
		return nil
	}
	budget := matchBudget
	for _, name := range l.Names {
		if seen[name] {
			continue
		}
		matches, steps := p.matches(name)
		if budget -= steps; budget < 0 {
			return fmt.Errorf("%w: the patterns are too complex for the %d queues of the virtual host", backlog.ErrExhausted, len(l.Names))
		}
		if !matches {
			continue
		}
		// Streams are no queues, and exclusive queues serve one connection, such as for replies.
		if one := l.Queues[name]; p.stream != (one.Kind == management.TypeStream) || one.Exclusive {
			p.streams = p.streams || one.Kind == management.TypeStream
			continue
		}
		if len(p.queues) >= maxMatching {
			return fmt.Errorf("%w: more than %d queues match, want at most that many", backlog.ErrExhausted, maxMatching)
		}
		if err := p.add(name); err != nil {
			return err
		}
	}
	p.revision = l.Revision
	return nil
}

// matches reports whether any pattern matches, and the cost of that.
func (p *plan) matches(name string) (matches bool, steps int) {
	for _, pattern := range p.patterns {
		one, cost := backlog.MatchSteps(pattern, name)
		steps += cost + 1
		if one {
			return true, steps
		}
	}
	return false, steps
}

// add adds a queue.
func (p *plan) add(name string) error {
	if !p.quota.Reserve(p.query.Namespace, name) {
		return quota.Error(p.query.Namespace)
	}
	p.queues = append(p.queues, name)
	return nil
}
