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
