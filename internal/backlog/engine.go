// Package backlog defines what a queue, a reading of it and an engine are. It is the vocabulary
// of the whole program and depends on the standard library only.
package backlog

import (
	"context"
	"fmt"
	"log/slog"
	"time"
)

// An Engine is one kind of queue system. It is a value: the parsers of triggers and of the
// configuration, the documentation and the examples are derived from it.
type Engine struct {
	// Name is how the configuration names it, such as "redis".
	Name string
	// Summary is one sentence for the documentation.
	Summary string
	// Settings are the keys of a connection to this engine.
	Settings []Parameter
	// Layouts are the ways in which this engine can hold a queue.
	Layouts []Layout
	// Check reports settings that exclude each other; nil if there is nothing to check.
	Check func(Settings) error
	// Open returns a Source for the connection. It does no network I/O that could fail: a
	// server that is down is reported by Read. The error is a bad setting. Log records of the
	// Source carry the connection's name.
	Open func(context.Context, Connection, *slog.Logger) (Source, error)
}

// Layout returns the layout of the engine with that name.
func (e Engine) Layout(name string) (Layout, bool) {
	for _, l := range e.Layouts {
		if l.Name == name {
			return l, true
		}
	}
	return Layout{}, false
}

// A Layout is one way in which an engine can hold a queue. The metadata key that names the
// queue is the layout's Name: "stream: orders".
type Layout struct {
	Name    string
	Summary string
	// Queue describes the value of the key, such as "key of the list".
	Queue string
	// Patterns describes, for the documentation, where the queues that match a pattern are
	// found. If it is empty, the key names one queue verbatim; otherwise it names Queues.
	Patterns string
	// Parameters are the further metadata keys of this layout.
	Parameters []Parameter
	// MissingIsError is the default of the trigger's "missing": true where a queue that does
	// not exist is more likely a mistake than empty.
	MissingIsError bool
	// Measures reports whether the layout yields a number that is not of messages:
	// Reading.Measured. Ready then describes that number.
	Measures bool
	// PerNamespace reports whether a connection with these settings limits each query to what
	// belongs to the namespace of its trigger, as an enforced label does, or counts it for a limit
	// of that namespace. Query.Namespace is then set. It may be nil.
	PerNamespace func(Settings) bool
	// SharesKeys reports whether changes of other queues wake this one too. It is then not
	// worth reading more often after a wake-up.
	SharesKeys bool
	// ReadyIncludesHeld reports whether Ready counts a message until it is done, as the lag of a
	// consumer group does.
	ReadyIncludesHeld bool
	// InFlightIsLate reports whether InFlight shows seconds late what workers take and finish.
	InFlightIsLate bool
	// Ready, Due, InFlight and Oldest describe, for the documentation, what is counted and how;
	// empty where the layout has no such number.
	Ready, Due, InFlight, Oldest string
	// CheckInFlight reports a query whose messages in flight are not counted although the layout has
	// InFlight; nil if all are.
	CheckInFlight func(Query) error
	// Passing describes, for the documentation, what shows work that was enqueued and finished
	// between two reads; empty where nothing does (see Reading.Passed).
	Passing string
	// Finished describes, for the documentation, what counts finished messages; empty where
	// nothing does (see Reading.Dequeued).
	Finished string
	// CheckFinished reports a query whose finished messages are not counted although the layout has
	// Finished; nil if all are.
	CheckFinished func(Query) error
	// Workers describes, for the documentation, which workers are known to be busy and when that
	// shows; empty where the layout does not know.
	Workers string
	// WorkersScope names the parameters that decide which workers there are, where they serve all
	// queues together. It is nil where the workers are those of one queue.
	WorkersScope []string
	// CheckWorkers reports a query whose workers are not known although the layout has Workers;
	// nil if all are known.
	CheckWorkers func(Query) error
	// Check reports parameters that exclude each other; nil if there is nothing to check.
	Check func(Query) error
	// CheckOn reports a query that a connection with these settings cannot be asked; nil if there
	// is nothing to check.
	CheckOn func(Settings, Query) error
}

// KnowsWorkers reports, as an error, that the engine cannot read which workers of a queue are busy.
func (l Layout) KnowsWorkers(q Query) error {
	switch {
	case l.Workers == "":
		return fmt.Errorf("the layout %s does not show which workers are busy", l.Name)
	case l.CheckWorkers != nil:
		return l.CheckWorkers(q)
	default:
		return nil
	}
}

// CountsInFlight reports, as an error, that nothing counts what workers hold of a queue.
func (l Layout) CountsInFlight(q Query) error {
	switch {
	case l.InFlight == "":
		return fmt.Errorf("the layout %s does not count messages in flight", l.Name)
	case l.CheckInFlight != nil:
		return l.CheckInFlight(q)
	default:
		return nil
	}
}

// CountsFinished reports, as an error, that nothing counts the finished messages of a queue.
func (l Layout) CountsFinished(q Query) error {
	switch {
	case l.Finished == "":
		return fmt.Errorf("the layout %s does not count finished messages", l.Name)
	case l.CheckFinished != nil:
		return l.CheckFinished(q)
	default:
		return nil
	}
}

// WorkersQuery returns the query for the workers of a queue. Queues with the same workers have the
// same one, so that it is read once.
func (l Layout) WorkersQuery(q Query) Query {
	if l.WorkersScope == nil {
		q.Workers = true
		return q
	}
	scope := make(map[string]string, len(l.WorkersScope))
	for _, name := range l.WorkersScope {
		scope[name] = q.Params.Get(name)
	}
	return Query{Layout: q.Layout, Queue: "*", Params: NewParams(scope), Workers: true}
}

// A Query is one queue and how to read it. It is comparable: equal queries of one connection
// are read once.
type Query struct {
	// Layout is the layout's name.
	Layout string
	// Queue is the name of the queue in the engine, or a text of Queues where the layout has
	// Patterns.
	Queue string
	// Params are the layout's parameters.
	Params Params
	// Namespace is the namespace of the trigger where the query names several queues, because
	// these are limited for each namespace, and where the layout reads PerNamespace. It is empty
	// otherwise, so that all namespaces share the reading.
	Namespace string
	// Workers asks which workers are busy, in place of what is in the queue: the reading has
	// Reading.Workers and no counts. It is for layouts with Workers.
	Workers bool
}

// A Result is the outcome of one Query: a Reading, or the error that explains why there is
// none.
type Result struct {
	Reading Reading
	// Err is nil or wraps one of this package's errors.
	Err error
	// Armed promises a Wake when the queue changes after this reading. If it is false, the
	// caller has to poll.
	Armed bool
	// Changed reports a change of the queue during the read. Armed is then false although the
	// engine notices changes.
	Changed bool
	// Pending reports that the source has not finished its first search for what belongs to the
	// queue, such as the queues that match a pattern, or has not verified an answer yet. A Wake
	// follows when it has. With an Err the queue is not known yet, and the error says nothing
	// about the engine. With a Reading more queues may be found, or its upper bound may become
	// exact.
	Pending bool
}

// A Source reads the queues of one connection. One goroutine at a time uses it, apart from
// Status and Close.
type Source interface {
	// Read reads all queries in as few round trips as the engine allows. It appends one Result
	// per query to results, in order, each with its own error, and returns the extended slice.
	// The caller owns it: a caller that reads repeatedly passes results[:0] to reuse the
	// memory.
	//
	// ctx bounds the whole read. Read waits for nothing else: a longer search continues in the
	// background, and the Result is Pending until it ends.
	Read(ctx context.Context, queries []Query, results []Result) []Result
	// Status returns the status of the connection, from memory.
	Status() Status
	// Close releases the connections. It is idempotent. Read fails afterwards.
	Close() error
}

// A Waker is a Source that notifies of changes.
type Waker interface {
	// Wakes delivers the queries that may have changed since their last read. A wake-up carries
	// no count: it means "read again now". It may be spurious. A lost one loses no work,
	// because every queue is also read from time to time. Close closes the channel. The
	// receiver must not keep the sender waiting.
	Wakes() <-chan Wake
}

// A Confirmer is a Waker that can verify its promises at less cost than reading every queue.
type Confirmer interface {
	Waker
	// Confirm returns a time, not before the call, up to which every change was notified: an
	// armed queue without a wake-up is then unchanged since its read. The error is
	// errors.ErrUnsupported where this cannot be known, else it wraps one of this package's
	// errors. With an error nothing is confirmed, and a read is needed. ctx bounds the call.
	// The goroutine that reads calls it, unless the Source is Sharded.
	Confirm(ctx context.Context) (time.Time, error)
}

// A Prober is a Source that can verify its connection without a query, because no query is right
// for every server.
type Prober interface {
	// Probe asks the server a question. The error wraps one of this package's errors.
	Probe(ctx context.Context) error
}

// A Ranger is a Source whose server keeps the past, so that a query can be asked for a range of time.
type Ranger interface {
	// Range returns the values of a query that has one series, at each step from one time to another, both
	// included. A step without a number has no value. The error wraps one of this package's errors.
	// Servers return some ten thousand values at most.
	Range(ctx context.Context, query string, from, to time.Time, step time.Duration) ([]Point, error)
}

// A Point is a value at a time. It is finite.
type Point struct {
	At    time.Time
	Value float64
}

// A Pacer is a Source each of whose reads has a price, so that it says itself how soon a query is read
// again. A wake-up, or a caller who asks for a fresh reading, has it read sooner.
type Pacer interface {
	Source
	// Pause returns how long to wait after the last read of a query, from memory: more than zero.
	Pause(Query) time.Duration
}

// A Sharded is a Source whose queries need not wait for each other: they lie on several servers, or
// take so long that those of other namespaces would wait. Several goroutines read it, and confirm at
// the same time: a server that does not answer delays no query of another one.
type Sharded interface {
	Source
	// Shard returns the name of the shard of a query, from memory. It may change at any time. A
	// query is read correctly under any name.
	Shard(Query) string
	// ReadShard is Read for queries of one shard. Several goroutines may call it, each for
	// another shard, but no two of them, or of Read, for the same query.
	ReadShard(ctx context.Context, shard string, queries []Query, results []Result) []Result
}

// A PartlyConfirmedError is an error of Confirm that concerns some queries. The others are
// confirmed until the time that Confirm returns with it.
type PartlyConfirmedError struct {
	Err error
	// Unconfirmed reports whether a query is one of those that are not confirmed.
	Unconfirmed func(Query) bool
}

func (e *PartlyConfirmedError) Error() string { return e.Err.Error() }

func (e *PartlyConfirmedError) Unwrap() error { return e.Err }

// A Wake names the queries that may have changed.
type Wake struct {
	// Queries may have changed. Ignored if Everything is set.
	Queries []Query
	// Everything means that any query may have changed, for instance after a reconnect.
	Everything bool
}

// Status describes a connection.
type Status struct {
	// Server is the name and version of the server, such as "redis 7.0.15"; empty until it
	// answered.
	Server string
	// WakeUp is how changes are noticed, such as "tracking" or "poll"; empty until known.
	WakeUp string
	// WakeUpReason is why a better mode is not used; empty if the mode is the best that the
	// engine has.
	WakeUpReason string
	// IdlePoll is the interval at which an idle queue that is not armed is worth reading; zero
	// leaves it to the caller.
	IdlePoll time.Duration
	// Risks are settings and limits of the server that endanger queues or connections although reads
	// work; nil without one, and where the engine does not look for them.
	Risks []Risk
	// Calls are those of an engine whose calls have a price; nil for others.
	Calls *Calls
}

// Calls are what a Source has asked of an engine whose calls have a price.
type Calls struct {
	// Made is how many calls were made since the Source was opened.
	Made uint64
	// PerMinute is the most that the configuration allows in a minute.
	PerMinute int64
}
