package redis

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/conn/topology"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

const (
	// findInterval is how often the keys of a server are gone through, at least.
	findInterval = 5 * time.Second
	// findStale is for how long what was found stands in while searching fails.
	findStale = time.Minute
	// findShare is how much longer the finder rests than it works, so that a server
	// with millions of keys is not kept busy by it.
	findShare = 9
	// findMost is how many keys one search keeps.
	findMost = 10000
	// findBytes bounds the names of keys that all searches of a connection keep. Where they
	// are more, those that find most are cut first.
	findBytes = 64 << 20
	// maxSearches is how many searches there may be on one connection.
	maxSearches = 10000
)

// A finder goes through the keys of all servers, again and again, for the patterns of
// queues that are in no registry. It does so on its own schedule and its own connections,
// and never when a queue is read, because it takes as long as there are keys.
//
// All searches that are due go through the keys together (see sweep), so that how many one
// namespace has does not decide when another's is answered. What is new does not wait for a
// sweep that is under way: it begins one of its own.
type finder struct {
	topology *topology.Topology
	wakes    *wakes
	// work holds a value when there is a search that does not wait for its turn.
	work chan struct{}

	// mu guards searches and what is in them, and waiting. Readers ask, the goroutines of
	// run settle.
	mu       sync.Mutex
	searches map[layout.Search]*findings
	// waiting are the first attempts that a query waits for.
	waiting map[backlog.Query]map[layout.Search]struct{}
}

// findings are what a search found last.
type findings struct {
	// keys are in order, each once.
	keys []string
	// revision counts the attempts that found other keys than the one before.
	revision uint64
	// complete says that there was a search that went through all keys.
	complete bool
	// more says that there were more than are kept.
	more bool
	// err is why the last attempt failed; nil if it did not. failing is since when
	// attempts fail.
	err     error
	failing time.Time
	// hurried says that the next attempt does not wait for its turn, and running that one is
	// under way.
	hurried, running bool
	// begun is when the last attempt began.
	begun time.Time
	// searched is when the last attempt began that went through all keys, and since a
	// moment after which one is wanted, however long the pause of a hint still is.
	searched, since time.Time
	// namespace is whose query asked first; empty for queries that all namespaces share.
	namespace string
	// hint says that no reading needs it: it is looked for less often.
	hint bool
	// queries are to be read when something new is found; when each asked last.
	queries map[backlog.Query]time.Time
}

func newFinder(t *topology.Topology, w *wakes) *finder {
	return &finder{
		topology: t, wakes: w, work: make(chan struct{}, 1),
		searches: make(map[layout.Search]*findings), waiting: make(map[backlog.Query]map[layout.Search]struct{}),
	}
}

// ask returns what a search found last, a copy but for its keys, which never change.
// From now on, for as long as somebody asks, what is found wakes the query.
func (f *finder) ask(s layout.Search, q backlog.Query, now time.Time) findings {
	return f.look(s, q, now, false)
}

// hint does the same for people's sake: nothing waits for it, and it is looked for less often.
func (f *finder) hint(s layout.Search, q backlog.Query, now time.Time) findings {
	return f.look(s, q, now, true)
}

func (f *finder) look(s layout.Search, q backlog.Query, now time.Time, hint bool) findings {
	f.mu.Lock()
	defer f.mu.Unlock()
	found := f.searches[s]
	if found != nil {
		found.hint = found.hint && hint
	}
	if found == nil && f.full(q.Namespace, hint) {
		return findings{err: errSearchesExhausted, failing: now}
	}
	if found == nil {
		found = &findings{hint: hint, hurried: true, namespace: q.Namespace, queries: make(map[backlog.Query]time.Time)}
		f.searches[s] = found
		f.hurry()
	} else if !hint && !found.complete && found.err != nil && !found.running {
		found.hurried = true
		f.hurry()
	}
	found.queries[q] = now
	if !hint {
		f.wait(q, s)
	}
	return *found
}

// full reports whether there is no room for another search: a quarter of all is for one
// namespace, and half of them for hints, which nothing waits for. mu is held.
func (f *finder) full(namespace string, hint bool) bool {
	if len(f.searches) >= maxSearches || hint && len(f.searches) >= maxSearches/2 {
		return true
	}
	if namespace == "" {
		return false
	}
	n := 0
	for _, found := range f.searches {
		if found.namespace == namespace {
			n++
		}
	}
	return n >= maxSearches/4
}

// wait notes that a query waits for the first attempt of a search. mu is held.
func (f *finder) wait(q backlog.Query, s layout.Search) {
	if found := f.searches[s]; found == nil || found.tried() {
		return
	}
	if f.waiting[q] == nil {
		f.waiting[q] = make(map[layout.Search]struct{})
	}
	f.waiting[q][s] = struct{}{}
}

// arrived ends wait. mu is held.
func (f *finder) arrived(q backlog.Query, s layout.Search) {
	delete(f.waiting[q], s)
	if len(f.waiting[q]) == 0 {
		delete(f.waiting, q)
	}
}

// mark notes in the jobs of a read which of them wait for the first attempt of a search.
func (f *finder) mark(jobs []job) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range jobs {
		jobs[i].pending = len(f.waiting) > 0 && len(f.waiting[jobs[i].plan.query]) > 0
	}
}

// tried reports whether an attempt has ended.
func (found *findings) tried() bool { return found.complete || found.err != nil }

// errSearchesExhausted is a search beyond maxSearches.
var errSearchesExhausted = fmt.Errorf("%w: %w, %d of a namespace and %d in all",
	backlog.ErrExhausted, layout.ErrTooManySearches, maxSearches/4, maxSearches)

// problem is why a finding is not good enough to say which queues there are; nil if it is.
func (found findings) problem(now time.Time) error {
	switch {
	case !found.complete && found.err == nil:
		return errNotSearched
	case found.err != nil && (!found.complete || now.Sub(found.failing) > findStale):
		return found.err
	default:
		return nil
	}
}

// problem is why what was found, and is asked for, may not be all that there is; nil if
// it is.
func (f *finder) problem() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, found := range f.searches {
		if !found.hint && found.err != nil {
			return found.err
		}
	}
	return nil
}

// hurry makes the finder search now.
func (f *finder) hurry() {
	select {
	case f.work <- struct{}{}:
	default:
	}
}

// run searches until ctx ends: for what is new, and in turn for everything.
func (f *finder) run(ctx context.Context) {
	var running sync.WaitGroup
	running.Go(func() { f.hasten(ctx) })
	f.repeat(ctx)
	running.Wait()
}

// hasten searches for what does not wait for its turn. Between two sweeps it rests as long
// as one takes, so that patterns that are always new do not keep a server busy.
func (f *finder) hasten(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.work:
		}
		begin := time.Now()
		f.sweep(ctx, f.hurried(begin))
		f.closeScans()
		rest(ctx, time.Since(begin))
	}
}

// repeat searches for everything in turn.
func (f *finder) repeat(ctx context.Context) {
	timer := time.NewTimer(findInterval)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		begin := time.Now()
		f.sweep(ctx, f.wanted(begin))
		f.closeScans()
		timer.Reset(max(findInterval, findShare*time.Since(begin)))
	}
}

// closeScans closes the connections of the searches, if there are none but hints.
func (f *finder) closeScans() {
	if f.idle() {
		f.topology.CloseScans()
	}
}

// idle reports whether there are no searches but hints.
func (f *finder) idle() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, found := range f.searches {
		if !found.hint {
			return false
		}
	}
	return true
}

// hurried returns the searches that do not wait for their turn.
func (f *finder) hurried(now time.Time) []layout.Search {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []layout.Search
	for s, found := range f.searches {
		if found.hurried && !found.running {
			found.hurried, found.running, found.begun = false, true, now
			all = append(all, s)
		}
	}
	return all
}

// wanted returns the searches that it is time for, and forgets those that nobody asked
// for lately.
func (f *finder) wanted(now time.Time) []layout.Search {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := make([]layout.Search, 0, len(f.searches))
	for s, found := range f.searches {
		maps.DeleteFunc(found.queries, func(q backlog.Query, asked time.Time) bool {
			unused := now.Sub(asked) > planLife
			if unused {
				f.arrived(q, s)
			}
			return unused
		})
		if len(found.queries) == 0 {
			delete(f.searches, s)
			continue
		}
		if found.running || found.hint && found.rests(now) {
			continue
		}
		found.hurried, found.running, found.begun = false, true, now
		all = append(all, s)
	}
	return all
}

// rests reports whether it is not time yet for a hint. One that failed for a reason that
// passes is tried again like any other search.
func (found *findings) rests(now time.Time) bool {
	passes := found.err != nil && !errors.Is(resp.Reason(found.err), backlog.ErrDenied)
	return !passes && now.Sub(found.begun) < layout.HintInterval && !found.begun.Before(found.since)
}

// settle keeps what a search found, and wakes its queries if there is something new.
func (f *finder) settle(s layout.Search, keys []string, more bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	found := f.searches[s]
	if found == nil {
		return
	}
	found.running = false
	first := !found.tried()
	news := first || !found.complete && err == nil
	if err == nil {
		news = news || !covers(found.keys, keys)
		if news || len(found.keys) != len(keys) {
			found.revision++
		}
		found.keys, found.more, found.complete, found.searched = keys, more, true, found.begun
	} else if found.err == nil {
		found.failing = time.Now()
	}
	found.err = err
	if first {
		for q := range found.queries {
			f.arrived(q, s)
		}
	}
	if news {
		f.wakes.add(slices.Collect(maps.Keys(found.queries)))
	}
}

// covers reports whether all of some are among all, both in order.
func covers(all, some []string) bool {
	for _, key := range some {
		at, found := slices.BinarySearch(all, key)
		if !found {
			return false
		}
		all = all[at:]
	}
	return true
}

// trim keeps what all searches have found within findBytes.
func (f *finder) trim() {
	f.mu.Lock()
	defer f.mu.Unlock()
	sizes := make([]int, 0, len(f.searches))
	for _, found := range f.searches {
		sizes = append(sizes, sizeOf(found.keys))
	}
	most := level(sizes, findBytes)
	for _, found := range f.searches {
		kept := cut(found.keys, most)
		if len(kept) < len(found.keys) {
			found.keys, found.more = slices.Clone(kept), true
			found.revision++
		}
	}
}

// rest waits for d or until ctx ends.
func rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
