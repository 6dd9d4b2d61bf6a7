package keyscan

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/conn/topology"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
)

const (
	// interval is how often the keys of a server are gone through, at least.
	interval = 5 * time.Second
	// staleAfter is for how long what was found stands in while searching fails.
	staleAfter = time.Minute
	// restShare is how much longer the scanner rests than it works, so that a server
	// with millions of keys is not kept busy by it.
	restShare = 9
	// maxKeys is how many keys one search keeps.
	maxKeys = 10000
	// maxBytes bounds the names of keys that all searches of a connection keep. Where they
	// are more, those that find most are cut first.
	maxBytes = 64 << 20
	// maxSearches is how many searches there may be on one connection.
	maxSearches = 10000
	// queryLife is for how long what is found wakes a query that does not ask any more.
	queryLife = 10 * time.Minute
)

// A Waker has queries read again.
type Waker interface {
	Wake(queries []backlog.Query)
}

// A Scanner goes through the keys of all servers, again and again. Any goroutine may ask it.
type Scanner struct {
	topology *topology.Topology
	waker    Waker
	// work holds a value when there is a search that does not wait for its time.
	work chan struct{}

	// mu guards searches and what is in them, and waiting. Readers ask, the goroutines of
	// Run store. waker is called under it.
	mu       sync.Mutex
	searches map[layout.Search]*search
	// waiting are the first attempts that a query waits for.
	waiting map[backlog.Query]map[layout.Search]struct{}
}

// New returns a scanner of the keys of all servers. It works while Run does.
func New(t *topology.Topology, w Waker) *Scanner {
	return &Scanner{
		topology: t, waker: w, work: make(chan struct{}, 1),
		searches: make(map[layout.Search]*search), waiting: make(map[backlog.Query]map[layout.Search]struct{}),
	}
}

// Find returns what a search found last. From now on, for as long as the query asks, what is
// found wakes it.
func (s *Scanner) Find(pattern layout.Search, q backlog.Query, now time.Time) Result {
	return s.lookUp(pattern, q, now, false)
}

// hint does the same for a hint: nothing waits for it, and it is searched less often.
func (s *Scanner) hint(pattern layout.Search, q backlog.Query, now time.Time) Result {
	return s.lookUp(pattern, q, now, true)
}

func (s *Scanner) lookUp(pattern layout.Search, q backlog.Query, now time.Time, hint bool) Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := s.searches[pattern]
	if last != nil {
		last.hint = last.hint && hint
	}
	if last == nil && s.isFull(q.Namespace, hint) {
		return Result{Err: errSearchesExhausted, Failing: now}
	}
	if last == nil {
		last = &search{hint: hint, urgent: true, namespace: q.Namespace, queries: make(map[backlog.Query]time.Time)}
		s.searches[pattern] = last
		s.trigger()
	} else if !hint && !last.Complete && last.Err != nil && !last.running {
		last.urgent = true
		s.trigger()
	}
	last.queries[q] = now
	if !hint {
		s.wait(q, pattern)
	}
	return last.Result
}

// isFull reports whether there is no room for another search: a quarter of all is for one
// namespace, and half of them for hints, which nothing waits for. mu is held.
func (s *Scanner) isFull(namespace string, hint bool) bool {
	if len(s.searches) >= maxSearches || hint && len(s.searches) >= maxSearches/2 {
		return true
	}
	if namespace == "" {
		return false
	}
	n := 0
	for _, one := range s.searches {
		if one.namespace == namespace {
			n++
		}
	}
	return n >= maxSearches/4
}

// wait notes that a query waits for the first attempt of a search. mu is held.
func (s *Scanner) wait(q backlog.Query, pattern layout.Search) {
	if one := s.searches[pattern]; one == nil || one.isTried() {
		return
	}
	if s.waiting[q] == nil {
		s.waiting[q] = make(map[layout.Search]struct{})
	}
	s.waiting[q][pattern] = struct{}{}
}

// stopWaiting ends wait. mu is held.
func (s *Scanner) stopWaiting(q backlog.Query, pattern layout.Search) {
	delete(s.waiting[q], pattern)
	if len(s.waiting[q]) == 0 {
		delete(s.waiting, q)
	}
}

// Waiting returns the queries that wait for the first attempt of a search; nil if none does.
func (s *Scanner) Waiting() map[backlog.Query]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting) == 0 {
		return nil
	}
	all := make(map[backlog.Query]bool, len(s.waiting))
	for q := range s.waiting {
		all[q] = true
	}
	return all
}

// Failing returns which queries depend on searches that fail, and why one of these does.
func (s *Scanner) Failing() (queries map[backlog.Query]bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	queries = make(map[backlog.Query]bool)
	for _, one := range s.searches {
		if one.hint || one.Err == nil {
			continue
		}
		err = one.Err
		for q := range one.queries {
			queries[q] = true
		}
	}
	return queries, err
}

// trigger makes the scanner search now.
func (s *Scanner) trigger() {
	select {
	case s.work <- struct{}{}:
	default:
	}
}

// Run searches until ctx ends: for what is urgent, and in turn for everything.
func (s *Scanner) Run(ctx context.Context) {
	var running sync.WaitGroup
	running.Go(func() { s.runUrgent(ctx) })
	s.runRegular(ctx)
	running.Wait()
}

// runUrgent searches for what does not wait for its time. Between two sweeps it rests as long
// as one takes, so that patterns that are always new do not keep a server busy.
func (s *Scanner) runUrgent(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.work:
		}
		begin := time.Now()
		s.sweep(ctx, s.urgent(begin))
		s.closeConnections()
		pause(ctx, time.Since(begin))
	}
}

// runRegular searches for everything in turn.
func (s *Scanner) runRegular(ctx context.Context) {
	timer := time.NewTimer(interval)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		begin := time.Now()
		s.sweep(ctx, s.due(begin))
		s.closeConnections()
		timer.Reset(max(interval, restShare*time.Since(begin)))
	}
}

// closeConnections closes the connections of the searches, if there are none but hints.
func (s *Scanner) closeConnections() {
	if s.isIdle() {
		s.topology.CloseScans()
	}
}

// isIdle reports whether there are no searches but hints.
func (s *Scanner) isIdle() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.searches {
		if !one.hint {
			return false
		}
	}
	return true
}

// urgent returns the searches that do not wait for their time, and begins an attempt of each.
func (s *Scanner) urgent(now time.Time) []layout.Search {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []layout.Search
	for pattern, one := range s.searches {
		if one.urgent && !one.running {
			one.urgent, one.running, one.begun = false, true, now
			all = append(all, pattern)
		}
	}
	return all
}

// due returns the searches that it is time for, and begins an attempt of each. It forgets those
// that no query asked for lately.
func (s *Scanner) due(now time.Time) []layout.Search {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]layout.Search, 0, len(s.searches))
	for pattern, one := range s.searches {
		maps.DeleteFunc(one.queries, func(q backlog.Query, asked time.Time) bool {
			unused := now.Sub(asked) > queryLife
			if unused {
				s.stopWaiting(q, pattern)
			}
			return unused
		})
		if len(one.queries) == 0 {
			delete(s.searches, pattern)
			continue
		}
		if one.running || one.hint && one.rests(now) {
			continue
		}
		one.urgent, one.running, one.begun = false, true, now
		all = append(all, pattern)
	}
	return all
}

// store keeps what an attempt found, and wakes its queries if there is something new.
func (s *Scanner) store(pattern layout.Search, keys []string, more bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.searches[pattern]
	if one == nil {
		return
	}
	one.running = false
	first := !one.isTried()
	news := first || !one.Complete && err == nil
	if err == nil {
		news = news || !covers(one.Keys, keys)
		if news || len(one.Keys) != len(keys) {
			one.Revision++
		}
		one.Keys, one.More, one.Complete, one.Searched = keys, more, true, one.begun
	} else if one.Err == nil {
		one.Failing = time.Now()
	}
	one.Err = err
	if first {
		for q := range one.queries {
			s.stopWaiting(q, pattern)
		}
	}
	if news {
		s.waker.Wake(slices.Collect(maps.Keys(one.queries)))
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

// trim keeps what all searches have found within maxBytes.
func (s *Scanner) trim() {
	s.mu.Lock()
	defer s.mu.Unlock()
	sizes := make([]int, 0, len(s.searches))
	for _, one := range s.searches {
		sizes = append(sizes, sizeOf(one.Keys))
	}
	most := level(sizes, maxBytes)
	for _, one := range s.searches {
		kept := cut(one.Keys, most)
		if len(kept) < len(one.Keys) {
			one.Keys, one.More = slices.Clone(kept), true
			one.Revision++
		}
	}
}

// pause waits for d or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
