// Package backlog says what a queue, a reading of it and an engine are. It is
// the vocabulary of the whole program and depends on the standard library only.
package backlog

import (
	"context"
	"log/slog"
	"time"
)

// An Engine is one kind of queue system. It is a value: the parser of triggers
// and of the configuration, the documentation and the examples are derived from it.
type Engine struct {
	// Name is how the configuration names it, such as "redis".
	Name string
	// Summary is one sentence for the documentation.
	Summary string
	// Settings are the keys of a connection to this engine.
	Settings []Parameter
	// Layouts are the ways in which a queue can lie in this engine.
	Layouts []Layout
	// Check reports settings that do not go together; nil if there is nothing to check.
	Check func(Settings) error
	// Open returns a Source for the connection. It does no network I/O that could
	// fail: a server that is down is found out by reading. The error is a bad setting.
	// What the Source logs carries the connection's name.
	Open func(context.Context, Connection, *slog.Logger) (Source, error)
}

// Layout finds a layout of the engine by its name.
func (e Engine) Layout(name string) (Layout, bool) {
	for _, l := range e.Layouts {
		if l.Name == name {
			return l, true
		}
	}
	return Layout{}, false
}

// A Layout is one way in which a queue can lie in an engine. The metadata key
// that names the queue is the layout's Name: "stream: orders".
type Layout struct {
	Name    string
	Summary string
	// Queue says what the value of the key names, such as "key of the list".
	Queue string
	// Patterns says, for the documentation, where the queues are found that match a
	// pattern. Empty where the key names one queue, as it is written; else it names
	// Queues.
	Patterns string
	// Parameters are the further metadata keys that this layout understands.
	Parameters []Parameter
	// MissingIsError is the default of the trigger's "missing" for this layout:
	// true where a queue that does not exist is more likely a mistake than empty.
	MissingIsError bool
	// SharesKeys says that a change of other queues wakes this one too, so that after a
	// wake-up it is not worth reading more often.
	SharesKeys bool
	// Ready, Due, InFlight and Oldest say, for the documentation, what is counted
	// here and how; empty where the layout cannot tell.
	Ready, Due, InFlight, Oldest string
	// Passing says, for the documentation, what tells of work that came and was done between
	// two looks; empty where nothing does (see Reading.Passed).
	Passing string
	// Check reports parameters that do not go together; nil if there is nothing to check.
	Check func(Query) error
}

// A Query names one queue and how to read it. It is comparable: two triggers
// that ask for the same query of one connection share one watch.
type Query struct {
	// Layout is the layout's name.
	Layout string
	// Queue names the queue within the engine, or is the text of Queues where the
	// layout knows Patterns.
	Queue string
	// Params holds the layout's parameters.
	Params Params
	// Namespace is whose query it is, where it asks for several queues: these are counted
	// for each namespace. Empty for one queue, so that all namespaces share its reading.
	Namespace string
}

// A Result answers one Query: a Reading, or the error that explains its absence.
type Result struct {
	Reading Reading
	// Err is nil or wraps one of this package's errors.
	Err error
	// Armed promises a Wake when the queue changes after this reading. Where it is
	// false the reader has to poll.
	Armed bool
	// Changed says that a change of the queue was noticed while it was read, so that
	// Armed is false although the engine notices changes.
	Changed bool
	// Pending says that the source is still looking for what belongs to the queue, such as
	// the queues that match a pattern, and has not done so once. A Wake follows when it has.
	// With an Err the queue is not known yet, and the error says nothing of the engine; with
	// a Reading more may be found.
	Pending bool
}

// A Source reads the queues of one connection. It is used by one goroutine at a
// time, apart from Status and Close.
type Source interface {
	// Read answers all queries in as few round trips as the engine allows: one
	// Result per query, in order, each with its own error. ctx bounds the whole read.
	// It waits for nothing else: what takes longer than that is searched in the
	// background, and the Result is Pending until then.
	// The results are appended to those of the caller, who owns them. A caller that
	// reads again and again passes results[:0] to use the memory again.
	Read(ctx context.Context, queries []Query, results []Result) []Result
	// Status tells how the connection is, from memory.
	Status() Status
	// Close releases the connections. It is idempotent, and Read fails afterwards.
	Close() error
}

// A Waker is a Source that can tell when something changed.
type Waker interface {
	// Wakes delivers the queries that may have changed since they were last read. A
	// wake-up carries no count: it means "read again now". One may be spurious, and
	// losing one must lose no work, for everything is read again from time to time.
	// The channel is closed by Close. The reader must not keep the sender waiting.
	Wakes() <-chan Wake
}

// A Confirmer is a Waker that can tell whether its promises stand, at less cost than
// reading every queue again.
type Confirmer interface {
	Waker
	// Confirm returns a moment, not before the call, until which every change was told
	// of: what was armed then, and was not woken, is as it was read. The error is
	// errors.ErrUnsupported where this cannot be known, and else wraps one of this
	// package's errors; nothing stands confirmed by then, and reading tells more. ctx
	// bounds the call. It is used by the goroutine that reads, unless the Source is Sharded.
	Confirm(ctx context.Context) (time.Time, error)
}

// A Sharded is a Source whose queries lie on servers that do not wait for each other. It is
// read by several goroutines, and confirms at the same time: one that is silent then delays
// no query that lies on others.
type Sharded interface {
	Source
	// Shard returns the name of the shard on which a query lies now, from memory. It may
	// change at any time; a query is read right under whatever name.
	Shard(Query) string
	// ReadShard does what Read does for queries of one shard. Several goroutines may call it,
	// each for another shard, but no two of them, or of Read, for the same query.
	ReadShard(ctx context.Context, shard string, queries []Query, results []Result) []Result
}

// A PartlyConfirmedError is an error of Confirm that concerns some queries. What is true of
// the others is so until the moment that Confirm returns with it.
type PartlyConfirmedError struct {
	Err error
	// Unconfirmed reports whether a query is one of those.
	Unconfirmed func(Query) bool
}

func (e *PartlyConfirmedError) Error() string { return e.Err.Error() }

func (e *PartlyConfirmedError) Unwrap() error { return e.Err }

// A Wake says which queries may have changed.
type Wake struct {
	// Queries may have changed. Ignored if Everything is set.
	Queries []Query
	// Everything may have changed, for instance after a reconnect.
	Everything bool
}

// Status describes a connection.
type Status struct {
	// Server is the server's own name and version, such as "redis 7.0.15"; empty
	// until it answered.
	Server string
	// WakeUp is how changes are noticed, such as "tracking" or "poll"; empty until known.
	WakeUp string
	// WakeUpReason says why WakeUp is not the best that the engine has; empty if it is.
	WakeUpReason string
	// IdlePoll is how often an idle queue that is not armed is worth reading; zero
	// leaves it to the reader.
	IdlePoll time.Duration
}
