package backlog

import "time"

// An Observation is the state of knowledge about one queue: the last good reading, the readings
// before it, and whether reading works now. It is immutable.
type Observation struct {
	// Latest is the last good reading; its At is zero if there was none. At is later than the
	// engine's answer if the reading was confirmed since.
	Latest Reading
	// Past are earlier readings that differ from the next one, oldest first, within the window
	// that callers asked for. At of each is when it was last current.
	Past []Reading
	// Last is the last attempt, successful or not.
	Last ReadAttempt
	// BecameNonempty is the read that found work after a read without any; zero if there was
	// none.
	BecameNonempty ReadAttempt
	// Err is why the last attempt failed; nil if it succeeded. It wraps one of this package's
	// errors.
	Err error
	// FailingSince is when reading began to fail; zero while Err is nil.
	FailingSince time.Time
	// Armed reports whether the next change of the queue is notified.
	Armed bool
	// Since is when the first good reading was taken; zero if there was none.
	Since time.Time
	// AfterStart reports whether the queue was first requested right after the program started,
	// so that earlier readings and answers are lost.
	AfterStart bool
	// LastChange is when the engine last reported a change of the queue, by an event or a
	// counter; zero if it never did. It decides when to read, and is shown.
	LastChange time.Time
	// LastTraffic is when a counter of the engine last showed that work came or went; zero if
	// none did. An event is no such proof: it may concern a key of the same name in another
	// database, a key that holds no work, or one that the server stopped tracking.
	LastTraffic time.Time
}

// Known reports whether there was a good reading.
func (o Observation) Known() bool { return !o.Latest.At.IsZero() }

// A ReadAttempt is one attempt to read a queue, or to confirm its last reading.
type ReadAttempt struct {
	// At is when it ended.
	At    time.Time
	Cause Cause
}

// A Cause is why a queue was read. The set is closed.
type Cause string

// The causes.
const (
	// CauseFirst: the first request for the queue.
	CauseFirst Cause = "first"
	// CauseConfirmed: the last reading was confirmed without a read.
	CauseConfirmed Cause = "confirmed"
	// CausePoll: the regular read.
	CausePoll Cause = "poll"
	// CauseWakeUp: the engine notified of a change.
	CauseWakeUp Cause = "wake-up"
	// CauseEverything: any change may have been missed, as after a lost connection.
	CauseEverything Cause = "everything"
	// CauseDue: a delayed message fell due.
	CauseDue Cause = "due"
	// CauseRetry: the previous read failed.
	CauseRetry Cause = "retry"
	// CauseCall: a call waits for a reading that is no older than itself.
	CauseCall Cause = "call"
	// CauseReopened: the connection was reopened with other settings.
	CauseReopened Cause = "reopened"
)

// An Interest is a query with what the caller needs to know about it.
type Interest struct {
	// Connection is the name of the connection.
	Connection string
	// Namespace is the namespace of the caller: past readings are limited for each one.
	Namespace string
	Query     Query
	// Window is how far back past readings are needed.
	Window time.Duration
	// InUse is for how long after a change an empty queue is read as often as one with work.
	InUse time.Duration
	// Counters asks for past readings that differ in nothing but their counters, too.
	Counters bool
	// Parts asks for the parts of past readings too.
	Parts bool
	// Fresh asks for an observation of a read that begins after the call: the call waits for it.
	Fresh bool
	// Interval is the time between two reads of a measured number, or of busy workers;
	// zero is that of the connection. The shortest of all callers counts. A queue is read no less often than without
	// one.
	Interval time.Duration
	// Memo is the caller's, for the observer; nil if the caller calls once.
	Memo *Memo
}
