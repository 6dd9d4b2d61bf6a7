package backlog

import "sync/atomic"

// A Memo is where an observer notes what it has found for one caller, so that the next call of the
// caller need not search for it. The zero value is empty. It is safe for concurrent use, and for
// one Interest only.
type Memo struct{ found atomic.Value }

// Load returns what the observer has stored; nil if it has stored nothing.
func (m *Memo) Load() any { return m.found.Load() }

// Store notes what was found. All values of one memo have the same type.
func (m *Memo) Store(found any) { m.found.Store(found) }
