package redis

import (
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// A querySearch is the keySearch of one query. Its zero value has never searched.
type querySearch struct {
	finder *finder
	query  backlog.Query
}

// find implements keySearch.
func (k querySearch) find(s search, now time.Time) found {
	if k.finder == nil {
		return found{problem: errNotSearched}
	}
	last := k.finder.hint(s, k.query, now)
	if len(last.keys) > 0 {
		last = k.finder.ask(s, k.query, now)
	}
	return last.found(now)
}

// hint implements keySearch.
func (k querySearch) hint(s search, now time.Time) found {
	if k.finder == nil {
		return found{problem: errNotSearched}
	}
	return k.finder.hint(s, k.query, now).found(now)
}

// begin implements keySearch.
func (k querySearch) begin(s search) {
	if k.finder == nil {
		return
	}
	k.finder.hint(s, k.query, time.Now())
	k.finder.mu.Lock()
	defer k.finder.mu.Unlock()
	k.finder.wait(k.query, s)
}

// since implements keySearch.
func (k querySearch) since(s search, moment time.Time) {
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
func (f findings) found(now time.Time) found {
	return found{keys: f.keys, revision: f.revision, more: f.more, searched: f.searched, problem: f.problem(now)}
}
