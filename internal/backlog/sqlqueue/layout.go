package sqlqueue

import (
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// The placeholders in fragments of SQL.
const (
	// Queue is the name of the queue, as a text expression.
	Queue = "{queue}"
	// Table is the quoted name of the queue's own table, for a layout with Tables.
	Table = "{table}"
	// Variant is one of the Variants of a layout.
	Variant = "{variant}"
	// limit is the number at which each count stops.
	limit = "{limit}"
)

// A Layout is a way in which a framework keeps its queues in tables. It is immutable.
type Layout struct {
	backlog.Layout
	// Counts returns where the rows of a queue are. Params are those of the query; its tables are in
	// a schema that they name.
	Counts func(backlog.Params) Counts
	// Tables returns the statement that finds the tables of queues, for a framework that has one for
	// each; nil otherwise. The array of names is its only argument. Its columns are the index of the
	// queue from 0 on, the quoted name of its table, and the index of a variant; null where the user may
	// not read the table.
	Tables func(backlog.Params) string
	// Variants are fragments. Tables chooses one, because a statement cannot name a table that is not
	// there, or that the user may not read.
	Variants []string
	// Notices is how the framework notifies of changes; the zero value if it does not.
	Notices Notices
}

// Counts are fragments of SQL about one queue. Ready, Due and InFlight begin with FROM and select
// the rows to be counted; the others are expressions. An empty one is what the framework does not have.
type Counts struct {
	// Exists is true if the queue is known to the framework.
	Exists string
	// Ready, Due and InFlight are the rows that Reading has the same names for.
	Ready, Due, InFlight string
	// Oldest is for how many seconds the oldest waiting row has been waiting; null if none waits.
	Oldest string
	// OldestIsBound reports that a row may have been waiting for longer than Oldest.
	OldestIsBound bool
	// Next is in how many seconds the next delayed row falls due; null if there is none.
	Next string
	// Paused is true if the queue hands out nothing.
	Paused string
	// Notifies is true if the database itself notifies of each new row. Where it is empty, Notices
	// decides.
	Notifies string
	// Quiet is for how many milliseconds after a notification there may be none, although rows are
	// added.
	Quiet string
	// Enqueued is a counter of all rows that were ever added.
	Enqueued string
	// MaxUseful is a limit of workers that the framework keeps; null if it has none.
	MaxUseful string
}

// Notices are the notifications of a framework.
type Notices struct {
	// Channel returns the channel on which a change of the queue is notified.
	Channel func(p backlog.Params, queue string) string
	// Queue returns the queue that a payload names. It is false if the payload may concern every queue
	// of its channel.
	Queue func(payload string) (string, bool)
	// ByClient reports that the clients of the framework notify, and not the database: a client in
	// another language, or one that is configured so, adds rows in silence. Such a queue is trusted
	// only after a notification was heard, and not any more once work came without one.
	ByClient bool
	// Quiet is for how long after a notification the framework may leave out further ones.
	Quiet time.Duration
}

// Known reports whether the framework notifies at all.
func (n Notices) Known() bool { return n.Channel != nil }
