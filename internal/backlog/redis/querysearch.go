package redis

import (
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
)

// A querySearch is the layout.KeySearch of one query. Its zero value has never searched.
type querySearch struct {
	finder *finder
	query  backlog.Query
}

// Find implements layout.KeySearch.
func (k querySearch) Find(s layout.Search, now time.Time) layout.Found {
	if k.finder == nil {
		return layout.Found{Problem: errNotSearched}
	}
	last := k.finder.hint(s, k.query, now)
	if len(last.keys) > 0 {
		last = k.finder.ask(s, k.query, now)
	}
	return last.found(now)
}

// Hint implements layout.KeySearch.
func (k querySearch) Hint(s layout.Search, now time.Time) layout.Found {
	if k.finder == nil {
		return layout.Found{Problem: errNotSearched}
	}
	return k.finder.hint(s, k.query, now).found(now)
}

// Begin implements layout.KeySearch.
func (k querySearch) Begin(s layout.Search) {
	if k.finder == nil {
		return
	}
	k.finder.hint(s, k.query, time.Now())
	k.finder.mu.Lock()
	defer k.finder.mu.Unlock()
	k.finder.wait(k.query, s)
}

// SearchSince implements layout.KeySearch.
func (k querySearch) SearchSince(s layout.Search, moment time.Time) {
	if k.finder == nil {
		return
	}
	k.finder.mu.Lock()
	defer k.finder.mu.Unlock()
	if last := k.finder.searches[s]; last != nil && last.since.Before(moment) {
		last.since = moment
	}
}

// found returns what of the findings a layout may know.
func (f findings) found(now time.Time) layout.Found {
	return layout.Found{Keys: f.keys, Revision: f.revision, More: f.more, Searched: f.searched, Problem: f.problem(now)}
}
