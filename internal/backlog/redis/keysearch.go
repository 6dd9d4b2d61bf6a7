package redis

import (
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// A keySearch looks for keys on behalf of one query. Its zero value has never searched.
type keySearch struct {
	finder *finder
	query  backlog.Query
}

// find returns what a search found last. As long as it finds nothing it is repeated once
// a minute, because most servers have no such keys. From then on it is repeated every few
// seconds. The query is read again when the search finds a new key.
func (k keySearch) find(s search, now time.Time) findings {
	if k.finder == nil {
		return findings{}
	}
	found := k.finder.hint(s, k.query, now)
	if len(found.keys) > 0 {
		return k.finder.ask(s, k.query, now)
	}
	return found
}

// begin starts a search. The readings of the query are pending until its first attempt has
// ended.
func (k keySearch) begin(s search) {
	if k.finder == nil {
		return
	}
	k.finder.hint(s, k.query, time.Now())
	k.finder.mu.Lock()
	defer k.finder.mu.Unlock()
	k.finder.wait(k.query, s)
}

// since asks for an attempt that begins after a moment, at the next turn of the finder.
func (k keySearch) since(s search, moment time.Time) {
	if k.finder == nil {
		return
	}
	k.finder.mu.Lock()
	defer k.finder.mu.Unlock()
	if found := k.finder.searches[s]; found != nil && found.since.Before(moment) {
		found.since = moment
	}
}
