package keyscan

import (
	"errors"
	"fmt"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

var (
	// ErrNotSearched is a search without an attempt that has ended.
	ErrNotSearched = fmt.Errorf("%w: the keys of the server have not been gone through yet", backlog.ErrUnavailable)

	errSearchesExhausted = fmt.Errorf("%w: %w, %d of a namespace and %d in all",
		backlog.ErrExhausted, layout.ErrTooManySearches, maxSearches/4, maxSearches)
)

// A Result is what a search found last.
type Result struct {
	// Keys are in order, each once. They never change.
	Keys []string
	// Revision counts the attempts that found other keys than the one before.
	Revision uint64
	// Complete reports that an attempt went through all keys.
	Complete bool
	// More reports that there were more keys than are kept.
	More bool
	// Searched is when the last attempt began that went through all keys.
	Searched time.Time
	// Err is why the last attempt failed; nil if it did not. Failing is since when attempts
	// fail.
	Err     error
	Failing time.Time
}

// Problem returns why a result is not good enough to say which keys there are; nil if it is.
// While searching fails, what was found stands in for a minute.
func (r Result) Problem(now time.Time) error {
	switch {
	case !r.Complete && r.Err == nil:
		return ErrNotSearched
	case r.Err != nil && (!r.Complete || now.Sub(r.Failing) > staleAfter):
		return r.Err
	default:
		return nil
	}
}

// isTried reports whether an attempt has ended.
func (r Result) isTried() bool { return r.Complete || r.Err != nil }

// found returns what of the result a layout may know.
func (r Result) found(now time.Time) layout.Found {
	return layout.Found{Keys: r.Keys, Revision: r.Revision, More: r.More, Searched: r.Searched, Problem: r.Problem(now)}
}

// A search is a pattern that is searched, and what was found.
type search struct {
	Result

	// urgent reports that the next attempt does not wait for its time, and running that one
	// is under way.
	urgent, running bool
	// begun is when the last attempt began, and since a moment after which one is wanted,
	// however long the pause of a hint still is.
	begun, since time.Time
	// namespace is that of the query that asked first; empty for queries that all namespaces
	// share.
	namespace string
	// hint reports that no reading needs it: it is searched less often.
	hint bool
	// queries are to be read when something new is found; when each asked last.
	queries map[backlog.Query]time.Time
}

// rests reports whether it is not time yet for a hint. One that failed for a transient reason
// is tried again like any other search.
func (s *search) rests(now time.Time) bool {
	transient := s.Err != nil && !errors.Is(resp.Reason(s.Err), backlog.ErrDenied)
	return !transient && now.Sub(s.begun) < layout.HintInterval && !s.begun.Before(s.since)
}

// A QuerySearch is the layout.KeySearch of one query. Its zero value has never searched.
type QuerySearch struct {
	scanner *Scanner
	query   backlog.Query
}

// For returns the searches of a query.
func (s *Scanner) For(q backlog.Query) layout.KeySearch { return QuerySearch{scanner: s, query: q} }

// Find implements layout.KeySearch.
func (k QuerySearch) Find(pattern layout.Search, now time.Time) layout.Found {
	if k.scanner == nil {
		return layout.Found{Problem: ErrNotSearched}
	}
	last := k.scanner.hint(pattern, k.query, now)
	if len(last.Keys) > 0 {
		last = k.scanner.Find(pattern, k.query, now)
	}
	return last.found(now)
}

// Hint implements layout.KeySearch.
func (k QuerySearch) Hint(pattern layout.Search, now time.Time) layout.Found {
	if k.scanner == nil {
		return layout.Found{Problem: ErrNotSearched}
	}
	last := k.scanner.hint(pattern, k.query, now)
	return last.found(now)
}

// Begin implements layout.KeySearch.
func (k QuerySearch) Begin(pattern layout.Search) {
	if k.scanner == nil {
		return
	}
	k.scanner.hint(pattern, k.query, time.Now())
	k.scanner.mu.Lock()
	defer k.scanner.mu.Unlock()
	k.scanner.wait(k.query, pattern)
}

// SearchSince implements layout.KeySearch.
func (k QuerySearch) SearchSince(pattern layout.Search, moment time.Time) {
	if k.scanner == nil {
		return
	}
	k.scanner.mu.Lock()
	defer k.scanner.mu.Unlock()
	if last := k.scanner.searches[pattern]; last != nil && last.since.Before(moment) {
		last.since = moment
	}
}
