package redis

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// planLife is how long a query is remembered that is not read any more.
const planLife = 10 * time.Minute

// A plan is a query prepared to be read again and again.
type plan struct {
	query backlog.Query
	first step
	// keys are those whose change may change the reading.
	keys []string
	// lastRead and forgotten are owned by the goroutine that reads.
	lastRead  time.Time
	forgotten bool
	// hint is kept while the queue does not exist. The goroutine that reads owns it.
	hint *queueHint
	// empty says that the last reading was one without work, and that nothing was heard of
	// during it; wasArmed that it left the plan armed. singly is until when its commands are
	// not run as one. The goroutine that reads owns them.
	empty, wasArmed bool
	singly          time.Time
	tally           tally

	// armed says that no change was heard of since the last read began: the reader arms,
	// the listeners disarm.
	armed atomic.Bool
}

// A watchlist knows which queries a key belongs to, and which of them are waiting to
// be told of a change.
type watchlist struct {
	// plans, order and swept are owned by the goroutine that reads.
	plans map[backlog.Query]*plan
	// order is where in a read each plan was wanted last: most often it will be there
	// again, and is found sooner than by its name.
	order []*plan
	swept time.Time

	// mu guards byKey.
	mu    sync.Mutex
	byKey map[string][]*plan
}

func newWatchlist() *watchlist {
	return &watchlist{plans: make(map[backlog.Query]*plan), byKey: make(map[string][]*plan)}
}

// arm makes the plan wait for a change. It comes before the read: a change that is
// heard of while the read is under way must not be forgotten. It returns whether the last
// reading was one without work, and nothing was heard of since.
func (p *plan) arm() (calm bool) {
	still := p.armed.Swap(true)
	return p.empty && (still || !p.wasArmed)
}

// keep notes what the next read has to know of a reading.
func (p *plan) keep(r *backlog.Reading, armed, changed bool) {
	p.empty, p.wasArmed = r.Backlog() == 0 && !changed, armed
}

// stillArmed returns whether no change was heard of since arm, and disarms the plan if
// the read could not arm it. changed says that it could, and a change was heard of.
func (p *plan) stillArmed(armed bool) (still, changed bool) {
	if !armed {
		p.armed.Store(false)
		return false, false
	}
	still = p.armed.Load()
	return still, !still
}

// changed returns the queries to wake when keys have changed. Each is returned once
// for each time that it was armed.
func (w *watchlist) changed(keys []string) []backlog.Query {
	w.mu.Lock()
	defer w.mu.Unlock()
	var queries []backlog.Query
	for _, key := range keys {
		for _, p := range w.byKey[key] {
			if p.armed.CompareAndSwap(true, false) {
				queries = append(queries, p.query)
			}
		}
	}
	return queries
}

// queries returns the queries that key belongs to.
func (w *watchlist) queries(key string) []backlog.Query {
	w.mu.Lock()
	defer w.mu.Unlock()
	var queries []backlog.Query
	for _, p := range w.byKey[key] {
		queries = append(queries, p.query)
	}
	return queries
}

// plan returns the plan for the query at a place of a read, made by prepare if there
// is none yet.
func (w *watchlist) plan(place int, q backlog.Query, now time.Time, prepare func(backlog.Query) (step, error)) (*plan, error) {
	if place < len(w.order) {
		if p := w.order[place]; !p.forgotten && p.query == q {
			p.lastRead = now
			return p, nil
		}
	}
	p, found := w.plans[q]
	if !found {
		first, err := prepare(q)
		if err != nil {
			return nil, err
		}
		p = &plan{query: q, first: first}
		w.plans[q] = p
		w.cover(p, now)
	}
	p.lastRead = now
	switch {
	case place < len(w.order):
		w.order[place] = p
	case place == len(w.order):
		w.order = append(w.order, p)
	}
	return p, nil
}

// cover makes the keys of a plan those of its first step, and returns those that
// belong to no plan any more.
func (w *watchlist) cover(p *plan, now time.Time) (unused []string) {
	before := make(map[string]bool, len(p.keys))
	for _, key := range p.keys {
		before[key] = true
	}
	p.keys = p.keys[:0]
	w.mu.Lock()
	defer w.mu.Unlock()
	seen := make(map[string]bool)
	for _, c := range p.first.commands(nil, now) {
		if c.class == 0 || seen[c.key] {
			continue
		}
		seen[c.key] = true
		p.keys = append(p.keys, c.key)
		if !before[c.key] {
			w.byKey[c.key] = append(w.byKey[c.key], p)
		}
	}
	for key := range before {
		if !seen[key] && w.leave(p, key) {
			unused = append(unused, key)
		}
	}
	return unused
}

// leave takes a plan off a key, and tells whether no other plan is left. mu is held.
func (w *watchlist) leave(p *plan, key string) (last bool) {
	w.byKey[key] = without(w.byKey[key], p)
	if len(w.byKey[key]) > 0 {
		return false
	}
	delete(w.byKey, key)
	return true
}

// sweep forgets the plans that were not read for long, and returns the keys that
// belong to none any more.
func (w *watchlist) sweep(now time.Time) (unused []string) {
	if now.Sub(w.swept) < planLife/10 {
		return nil
	}
	w.swept = now
	w.mu.Lock()
	defer w.mu.Unlock()
	for q, p := range w.plans {
		if now.Sub(p.lastRead) < planLife {
			continue
		}
		delete(w.plans, q)
		p.forgotten = true
		for _, key := range p.keys {
			if w.leave(p, key) {
				unused = append(unused, key)
			}
		}
	}
	return unused
}

func without(plans []*plan, gone *plan) []*plan {
	var rest []*plan
	for _, p := range plans {
		if p != gone {
			rest = append(rest, p)
		}
	}
	return rest
}
