package layout

import (
	"errors"
	"time"
)

// HintInterval is how often keys are searched that only a hint needs.
const HintInterval = time.Minute

// ErrTooManySearches is a search beyond the number that there may be on one connection.
var ErrTooManySearches = errors.New("as many patterns of names are searched on this connection as may be")

// A Search is what SCAN looks for: the keys of a type whose names match a pattern.
type Search struct{ Type, Pattern string }

// A KeySearch searches keys on behalf of one query. The keys are searched in the background:
// no method waits for that. It is safe for concurrent use.
type KeySearch interface {
	// Begin starts a search. The readings of the query are pending until its first attempt
	// has ended.
	Begin(s Search)
	// Find returns what a search found last. As long as it finds nothing it is repeated
	// once a minute, because most servers have no such keys. From then on it is repeated
	// every few seconds. The query is read again when the search finds a new key.
	Find(s Search, now time.Time) Found
	// Hint does the same for a hint: it is repeated once a minute.
	Hint(s Search, now time.Time) Found
	// SearchSince asks for an attempt that begins after a moment, at the next regular one.
	SearchSince(s Search, moment time.Time)
}

// A Found is what a search found last.
type Found struct {
	// Keys are sorted, each once, and never change.
	Keys []string
	// Revision counts the attempts that found other keys than the one before.
	Revision uint64
	// More is set if there are more keys than a search keeps.
	More bool
	// Searched is when the last complete attempt began; zero if there was none.
	Searched time.Time
	// Problem is why keys may not be all that there are; nil if they are. It is an error
	// too while no attempt has ended.
	Problem error
}
