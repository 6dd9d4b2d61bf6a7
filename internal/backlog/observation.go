package backlog

import "time"

// An Observation is what is known of one queue: the last good reading, the ones
// before it, and whether reading works now. It is immutable.
type Observation struct {
	// Latest is the last good reading; its At is zero if there never was one. At is
	// later than the answer of the engine if it was confirmed since that nothing changed.
	Latest Reading
	// Past are earlier readings that differ from the next one, oldest first, as far
	// back as somebody asked for. At of each is when it was last seen.
	Past []Reading
	// Last is the last look at the queue, whether it failed or not.
	Last ReadAttempt
	// Woke is the read that found work after there was none; zero if none did.
	BecameNonempty ReadAttempt
	// Err is why the last attempt failed; nil if it succeeded. It wraps one of this
	// package's errors.
	Err error
	// FailingSince is when reading began to fail; zero while Err is nil.
	FailingSince time.Time
	// Armed says that a change of the queue will be noticed by itself.
	Armed bool
	// Since is when the first good reading was taken; zero if there was none.
	Since time.Time
	// AfterStart says that the queue was asked for right after the program started, so
	// that what was known and told before is lost.
	AfterStart bool
	// LastChange is when the engine last said that the queue changed, by an event or by its
	// counters; zero if it never did. It is for people, and for when to read.
	LastChange time.Time
	// LastTraffic is when a counter of the engine last told that work came or went; zero if none
	// did. That a key changed is no such sign: it may be of the same name in another
	// database, hold no work, or have been dropped from the server's memory of who reads it.
	LastTraffic time.Time
}

// Known tells whether there ever was a good reading.
func (o Observation) Known() bool { return !o.Latest.At.IsZero() }

// A ReadAttempt is one attempt to read a queue, or to confirm what was read.
type ReadAttempt struct {
	// At is when it ended.
	At    time.Time
	Cause Cause
}

// A Cause is one of a closed set of words for why a queue was looked at.
type Cause string

// The causes.
const (
	// CauseFirst: somebody asked for the queue for the first time.
	CauseFirst Cause = "first"
	// CauseConfirmed: it was not read, but confirmed that it had not changed.
	CauseConfirmed Cause = "confirmed"
	// CausePoll: it was time for the regular read.
	CausePoll Cause = "poll"
	// CauseWakeUp: the engine told that the queue may have changed.
	CauseWakeUp Cause = "wake-up"
	// CauseEverything: anything may have changed unnoticed, as after a lost connection.
	CauseEverything Cause = "everything"
	// CauseDue: a delayed message fell due.
	CauseDue Cause = "due"
	// CauseRetry: the read before had failed.
	CauseRetry Cause = "retry"
	// CauseReopened: the connection was opened anew, with other settings.
	CauseReopened Cause = "reopened"
)

// An Interest is a queue that somebody wants to know about.
type Interest struct {
	// Connection is the name of the connection.
	Connection string
	// Namespace is who asks: past readings are bounded for each namespace.
	Namespace string
	Query     Query
	// Window is how far back past readings are wanted.
	Window time.Duration
	// InUse is for how long after it stirred a queue is read as often as one with work.
	InUse time.Duration
	// Counters asks for past readings that differ in their counters alone too.
	Counters bool
	// Parts asks for the parts of past readings too.
	Parts bool
}
