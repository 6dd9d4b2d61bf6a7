package redis

import (
	"errors"
	"time"
)

// hintInterval is how often keys are searched that only a hint needs.
const hintInterval = time.Minute

// errManySearches is a search beyond the number that there may be on one connection.
var errManySearches = errors.New("as many patterns of names are searched on this connection as may be")

// A search is what SCAN looks for: the keys of a type whose names match a pattern.
type search struct{ kind, match string }

// A keySearch searches keys on behalf of one query. The keys are searched in the background:
// no method waits for that. It is safe for concurrent use.
type keySearch interface {
	// begin starts a search. The readings of the query are pending until its first attempt
	// has ended.
	begin(s search)
	// find returns what a search found last. As long as it finds nothing it is repeated
	// once a minute, because most servers have no such keys. From then on it is repeated
	// every few seconds. The query is read again when the search finds a new key.
	find(s search, now time.Time) found
	// hint does the same for a hint: it is repeated once a minute.
	hint(s search, now time.Time) found
	// since asks for an attempt that begins after a moment, at the next regular one.
	since(s search, moment time.Time)
}

// A found is what a search found last.
type found struct {
	// keys are sorted, each once, and never change.
	keys []string
	// revision counts the attempts that found other keys than the one before.
	revision uint64
	// more is set if there are more keys than a search keeps.
	more bool
	// searched is when the last complete attempt began; zero if there was none.
	searched time.Time
	// problem is why keys may not be all that there are; nil if they are. It is an error
	// too while no attempt has ended.
	problem error
}
