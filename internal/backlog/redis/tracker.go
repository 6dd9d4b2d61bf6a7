package redis

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/quota"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/wakes"
)

const (
	// planLife is how long a query is remembered that is not read any more; quota.Life if it is of
	// several queues.
	planLife = 10 * time.Minute
	// planSweep is the time between two searches for such queries.
	planSweep = time.Minute
)

// A plan is a query prepared to be read again and again.
type plan struct {
	query backlog.Query
	first step
	// changer is first, if its keys change; nil if they do not.
	changer keyChanger
	// keys are those whose change may change the reading; guarded by the tracker's planning.
	keys []string
	// lastRead, forgotten and shard are guarded by the tracker's planning.
	lastRead  time.Time
	forgotten bool
	shard     shardName
	// hint is kept while the queue does not exist. The goroutine that reads the query owns it.
	hint *queueHint
	// empty reports that the last reading was one without work, and that no change was reported
	// during it; wasArmed that it left the plan armed. singly is until when its commands are
	// not run as one. The goroutine that reads owns them.
	empty, wasArmed bool
	singly          time.Time
	tally           tally

	// latest are the counts of the last reading. The goroutine that reads owns it.
	latest fingerprint
	// same reports that it was like the one before. The goroutine that reads writes it.
	same atomic.Bool
	// woken is when a change was last reported, guarded by the tracker's mu.
	woken time.Time

	// armed reports that no change was reported since the last read began: the reader arms,
	// the listeners disarm.
	armed atomic.Bool
}

// A tracker knows which queries a key belongs to, and which of them are armed. Goroutines that
// read add and arm plans, listeners of nodes disarm them. It implements node.Tracker and
// node.Waker.
type tracker struct {
	wakes *wakes.Queue

	// planning guards plans, swept, and the keys of each plan: several goroutines read. It
	// comes before mu.
	planning sync.Mutex
	plans    map[backlog.Query]*plan
	swept    time.Time

	// mu guards byKey.
	mu    sync.Mutex
	byKey map[string][]*plan
}

func newTracker(w *wakes.Queue) *tracker {
	return &tracker{wakes: w, plans: make(map[backlog.Query]*plan), byKey: make(map[string][]*plan)}
}

// arm makes the plan wait for a change. It comes before the read: a change that is
// reported while the read is under way must not be forgotten. It reports whether the last
// reading was one without work, and no change was reported since.
func (p *plan) arm() (calm bool) {
	still := p.armed.Swap(true)
	return p.empty && (still || !p.wasArmed)
}

// remember notes what the next read has to know of this one.
func (p *plan) remember(r *backlog.Reading, armed, changed bool) {
	p.empty, p.wasArmed = r.Backlog() == 0 && !changed, armed
}

// stillArmed reports whether no change was reported since arm, and disarms the plan if
// the read could not arm it. changed reports that it could, and that a change was reported.
func (p *plan) stillArmed(armed bool) (still, changed bool) {
	if !armed {
		p.armed.Store(false)
		return false, false
	}
	still = p.armed.Load()
	return still, !still
}

// A fingerprint is the part of a reading that shows whether a wake-up bore fruit.
type fingerprint struct {
	ready, due                   int64
	inFlight, enqueued, dequeued backlog.Count
	missing                      bool
	epoch                        string
}

// compare notes whether a reading is like the one before, so that its wake-up bore no fruit.
func (p *plan) compare(r *backlog.Reading) {
	latest := fingerprint{
		ready: r.Ready, due: r.Due, inFlight: r.InFlight,
		enqueued: r.Enqueued, dequeued: r.Dequeued, missing: r.Missing, epoch: r.Epoch,
	}
	same := latest == p.latest
	if p.same.Load() != same {
		p.same.Store(same)
	}
	if !same {
		p.latest = latest
	}
}

// fruitlessAgain is within which time of the last wake-up another one is of interest to
// crowding, where the reading in between showed nothing new.
const fruitlessAgain = time.Second

// Invalidate implements node.Tracker.
func (w *tracker) Invalidate(keys []string, now time.Time) (fruitless int) {
	queries, fruitless := w.changed(keys, now)
	w.wakes.Wake(queries)
	return fruitless
}

// WakeKey implements node.Waker.
func (w *tracker) WakeKey(key string) { w.wakes.Wake(w.queries(key)) }

// WakeAll implements node.Waker.
func (w *tracker) WakeAll() { w.wakes.WakeAll() }

// changed returns the queries to wake when keys have changed. Each is returned once
// for each time that it was armed. fruitless is how many of them have been woken a moment
// ago, and were read since without any change.
func (w *tracker) changed(keys []string, now time.Time) (queries []backlog.Query, fruitless int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, key := range keys {
		for _, p := range w.byKey[key] {
			if !p.armed.CompareAndSwap(true, false) {
				continue
			}
			queries = append(queries, p.query)
			if p.same.Load() && now.Sub(p.woken) < fruitlessAgain {
				fruitless++
			}
			p.woken = now
		}
	}
	return queries, fruitless
}

// Len implements node.Tracker.
func (w *tracker) Len() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.byKey)
}

// queries returns the queries that key belongs to.
func (w *tracker) queries(key string) []backlog.Query {
	w.mu.Lock()
	defer w.mu.Unlock()
	var queries []backlog.Query
	for _, p := range w.byKey[key] {
		queries = append(queries, p.query)
	}
	return queries
}

// plan returns the plan for the query at a place of a read, made by prepare if there
// is none yet. order is of the reader. planning is held.
func (w *tracker) plan(order *[]*plan, place int, q backlog.Query, now time.Time, prepare func(backlog.Query) (step, error)) (*plan, error) {
	if place < len(*order) {
		if p := (*order)[place]; !p.forgotten && p.query == q {
			p.lastRead = now
			return p, nil
		}
	}
	p, err := w.planOf(q, now, prepare)
	if err != nil {
		return nil, err
	}
	switch {
	case place < len(*order):
		(*order)[place] = p
	case place == len(*order):
		*order = append(*order, p)
	}
	return p, nil
}

// planOf returns the plan for a query, made by prepare if there is none yet. planning is held.
func (w *tracker) planOf(q backlog.Query, now time.Time, prepare func(backlog.Query) (step, error)) (*plan, error) {
	p, found := w.plans[q]
	if !found {
		first, err := prepare(q)
		if err != nil {
			return nil, err
		}
		p = &plan{query: q, first: first}
		p.changer, _ = first.(keyChanger)
		w.plans[q] = p
		w.track(p, now)
	}
	p.lastRead = now
	return p, nil
}

// retrack is track for a plan whose keys have changed.
func (w *tracker) retrack(p *plan, now time.Time) (unused []string) {
	w.planning.Lock()
	defer w.planning.Unlock()
	return w.track(p, now)
}

// track makes the keys of a plan those of its first step, and returns those that
// belong to no plan any more. planning is held.
func (w *tracker) track(p *plan, now time.Time) (unused []string) {
	before := make(map[string]bool, len(p.keys))
	for _, key := range p.keys {
		before[key] = true
	}
	p.keys, p.shard = p.keys[:0], shardName{}
	w.mu.Lock()
	defer w.mu.Unlock()
	seen := make(map[string]bool)
	commands := p.first.Commands
	if p.changer != nil {
		commands = p.changer.keyCommands
	}
	for _, c := range commands(nil, now) {
		if c.KeyType == 0 || seen[c.Key] {
			continue
		}
		seen[c.Key] = true
		p.keys = append(p.keys, c.Key)
		if !before[c.Key] {
			w.byKey[c.Key] = append(w.byKey[c.Key], p)
		}
	}
	for key := range before {
		if !seen[key] && w.untrack(p, key) {
			unused = append(unused, key)
		}
	}
	return unused
}

// untrack takes a plan off a key, and reports whether no other plan is left. mu is held.
func (w *tracker) untrack(p *plan, key string) (last bool) {
	w.byKey[key] = without(w.byKey[key], p)
	if len(w.byKey[key]) > 0 {
		return false
	}
	delete(w.byKey, key)
	return true
}

// expire forgets the plans that were not read for long, and returns the keys that
// belong to none any more. planning is held.
func (w *tracker) expire(now time.Time) (unused []string) {
	if now.Sub(w.swept) < planSweep {
		return nil
	}
	w.swept = now
	w.mu.Lock()
	defer w.mu.Unlock()
	for q, p := range w.plans {
		several, are := p.first.(*multiQueue)
		life := planLife
		if are {
			life = quota.Life
		}
		if now.Sub(p.lastRead) < life {
			continue
		}
		delete(w.plans, q)
		p.forgotten = true
		if are {
			several.release()
		}
		for _, key := range p.keys {
			if w.untrack(p, key) {
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
