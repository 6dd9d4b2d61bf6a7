package redis

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

const (
	// findInterval is how often the keys of a server are gone through, at least.
	findInterval = 5 * time.Second
	// hintInterval is the same of what is looked for only to help people.
	hintInterval = time.Minute
	// findStale is for how long what was found stands in while searching fails.
	findStale = time.Minute
	// findShare is how much longer the finder rests than it works, so that a server
	// with millions of keys is not kept busy by it.
	findShare = 9
	// findPage is about how many keys the server looks at for one answer.
	findPage = 1000
	// findMost is how many keys one search keeps.
	findMost = 10000
	// findMostInAll is how many keys all searches of a connection keep together.
	findMostInAll = 100_000
	// maxSearches is how many searches there may be on one connection: each goes through
	// all keys.
	maxSearches = 1000
	// findFirst is how long the first read waits for what a new search finds.
	findFirst = 500 * time.Millisecond
	// findPageTimeout bounds one answer.
	findPageTimeout = 2 * time.Second
)

// A search is what SCAN looks for: keys of a type whose names match.
type search struct{ kind, match string }

// A finder goes through the keys of all servers, again and again, for the patterns of
// queues that are in no registry. It does so on its own schedule and not when a queue
// is read, for it takes as long as there are keys.
type finder struct {
	topology *topology
	wakes    *wakes
	// work holds a value when there is a new search.
	work chan struct{}

	// mu guards searches and what is in them.
	mu       sync.Mutex
	searches map[search]*findings
}

// findings are what a search found last.
type findings struct {
	keys map[string]struct{}
	// weight is what keys count for.
	weight int
	// revision counts the attempts that found other keys than the one before.
	revision uint64
	// complete says that there was a search that went through all keys.
	complete bool
	// more says that there were more than findMost.
	more bool
	// err is why the last attempt failed; nil if it did not. failing is since when
	// attempts fail.
	err     error
	failing time.Time
	// tried is closed after the first attempt.
	tried chan struct{}
	// created is when somebody was first interested, and begun when the last attempt began.
	created, begun time.Time
	// searched is when the last attempt began that went through all keys, and since a
	// moment after which one is wanted, however long the pause of a hint still is.
	searched, since time.Time
	// awaited says that the first read waits for the first attempt, although it is a hint.
	awaited bool
	// namespace is whose query asked first; empty for queries that all namespaces share.
	namespace string
	// hint says that nobody asks but to help people.
	hint bool
	// queries are to be read when something new is found; when each asked last.
	queries map[backlog.Query]time.Time
}

func newFinder(t *topology, w *wakes) *finder {
	return &finder{topology: t, wakes: w, work: make(chan struct{}, 1), searches: make(map[search]*findings)}
}

// ask returns what a search found last, a copy but for its keys, which never change.
// From now on, for as long as somebody asks, what is found wakes the query.
func (f *finder) ask(s search, q backlog.Query, now time.Time) findings {
	return f.look(s, q, now, false)
}

// hint does the same for people's sake: nothing waits for it, and it is looked for less often.
func (f *finder) hint(s search, q backlog.Query, now time.Time) findings {
	return f.look(s, q, now, true)
}

func (f *finder) look(s search, q backlog.Query, now time.Time, hint bool) findings {
	f.mu.Lock()
	defer f.mu.Unlock()
	found := f.searches[s]
	if found != nil {
		found.hint = found.hint && hint
	}
	if found == nil && f.full(q.Namespace, hint) {
		return findings{err: errManySearches, failing: now}
	}
	if found == nil {
		found = &findings{tried: make(chan struct{}), created: now, hint: hint, namespace: q.Namespace, queries: make(map[backlog.Query]time.Time)}
		f.searches[s] = found
		f.hurry()
	} else if !hint && !found.complete && found.err != nil {
		f.hurry()
	}
	found.queries[q] = now
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

// errManySearches is a search beyond maxSearches.
var errManySearches = fmt.Errorf("%w: as many patterns of names are searched on this connection as may be, %d of a namespace and %d in all",
	backlog.ErrExhausted, maxSearches/4, maxSearches)

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

// await waits, a moment only, for the first attempts of new searches, so that what
// asks for them need not fail.
func (f *finder) await(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, findFirst)
	defer cancel()
	for tried := f.untried(); tried != nil; tried = f.untried() {
		select {
		case <-tried:
		case <-ctx.Done():
			return
		}
	}
}

// untried returns what is closed after the first attempt of a new search, nil if none
// is worth waiting for.
func (f *finder) untried() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, found := range f.searches {
		if (!found.hint || found.awaited) && !found.complete && found.err == nil && time.Since(found.created) < findFirst {
			return found.tried
		}
	}
	return nil
}

// run searches until ctx ends.
func (f *finder) run(ctx context.Context) {
	timer := time.NewTimer(findInterval)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.work:
		case <-timer.C:
		}
		begin := time.Now()
		// refusal is the error of a server that does not allow SCAN, and allows none, or does
		// not answer: each search goes through all servers, and would wait for it again.
		var refusal error
		for _, s := range f.wanted(begin) {
			if refusal != nil {
				f.settle(s, nil, false, refusal)
				continue
			}
			keys, more, err := f.sweep(ctx, s, f.room(s))
			if ctx.Err() != nil {
				return
			}
			if known := reason(err); err != nil && (errors.Is(known, backlog.ErrDenied) || errors.Is(known, backlog.ErrUnavailable)) {
				refusal = err
			}
			f.settle(s, keys, more, err)
		}
		timer.Reset(max(findInterval, findShare*time.Since(begin)))
	}
}

// wanted returns the searches that it is time for, and forgets those that nobody asked
// for lately.
func (f *finder) wanted(now time.Time) []search {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := make([]search, 0, len(f.searches))
	for s, found := range f.searches {
		maps.DeleteFunc(found.queries, func(_ backlog.Query, asked time.Time) bool { return now.Sub(asked) > planLife })
		if len(found.queries) == 0 {
			delete(f.searches, s)
			continue
		}
		if found.hint && now.Sub(found.begun) < hintInterval && !found.begun.Before(found.since) {
			continue
		}
		found.begun = now
		all = append(all, s)
	}
	return all
}

// settle keeps what a search found, and wakes its queries if there is something new.
func (f *finder) settle(s search, keys map[string]struct{}, more bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	found := f.searches[s]
	if found == nil {
		return
	}
	first := !found.complete && found.err == nil
	news := first || !found.complete && err == nil
	if err == nil {
		news = news || !covers(found.keys, keys)
		if news || len(found.keys) != len(keys) {
			found.revision++
		}
		found.weight = weigh(keys)
		found.keys, found.more, found.complete, found.searched = keys, more, true, found.begun
	} else if found.err == nil {
		found.failing = time.Now()
	}
	found.err = err
	if first {
		close(found.tried)
	}
	if news {
		f.wakes.add(slices.Collect(maps.Keys(found.queries)))
	}
}

// covers tells whether all of some are among all.
func covers(all, some map[string]struct{}) bool {
	for key := range some {
		if _, found := all[key]; !found {
			return false
		}
	}
	return true
}

// room returns how many keys a search may keep, so that all of them keep no more than
// findMostInAll. A long key counts as several.
func (f *finder) room(s search) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	room := findMostInAll
	for other, found := range f.searches {
		if other != s {
			room -= found.weight
		}
	}
	return room
}

// errManyKeys is a search that finds more than is left of findMostInAll.
var errManyKeys = fmt.Errorf("%w: the patterns of this connection match more than %d keys in all", backlog.ErrExhausted, findMostInAll)

// sweep goes through the keys of all servers once. It keeps room keys at most.
func (f *finder) sweep(ctx context.Context, s search, room int) (keys map[string]struct{}, more bool, err error) {
	defer backlog.Contain(&err)
	r, err := f.topology.current(ctx)
	if err != nil {
		return nil, false, err
	}
	keys = make(map[string]struct{})
	sum := 0
	for _, address := range r.addresses() {
		cursor := "0"
		for {
			begin := time.Now()
			var added int
			cursor, added, err = f.page(ctx, r.nodes[address], s, cursor, keys)
			if err != nil {
				return nil, false, fmt.Errorf("look for keys that match %q: %w", s.match, err)
			}
			sum += added
			switch {
			case sum > min(room, 2*findMost):
				return nil, false, errManyKeys
			case len(keys) > findMost:
				return keys, true, nil
			}
			if cursor == "0" {
				break
			}
			rest(ctx, time.Since(begin))
		}
	}
	return keys, false, nil
}

// weigh returns what keys count for.
func weigh(keys map[string]struct{}) (sum int) {
	for key := range keys {
		sum += weight(key)
	}
	return sum
}

// page adds the keys of one answer. It returns where the next begins, "0" at the end, and
// what the added keys count for.
func (f *finder) page(ctx context.Context, n *node, s search, cursor string, keys map[string]struct{}) (next string, added int, err error) {
	ctx, cancel := context.WithTimeout(ctx, findPageTimeout)
	defer cancel()
	replies, err := n.do(ctx, []command{{args: []any{"SCAN", cursor, "MATCH", s.match, "COUNT", findPage, "TYPE", s.kind}}}, nil)
	if err != nil {
		return "", 0, err
	}
	answer, err := replies[0].list()
	if err != nil {
		return "", 0, err
	}
	if len(answer) != 2 {
		return "", 0, fmt.Errorf("%w: %d parts in an answer to SCAN", errReply, len(answer))
	}
	found, ok := answer[1].([]any)
	next = text(answer[0])
	if _, err := strconv.ParseUint(next, 10, 64); err != nil || !ok {
		return "", 0, fmt.Errorf("%w: an answer to SCAN without a cursor and keys", errReply)
	}
	for _, one := range found {
		key := text(one)
		if _, twice := keys[key]; !twice {
			keys[key] = struct{}{}
			added += weight(key)
		}
	}
	return next, added, nil
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
