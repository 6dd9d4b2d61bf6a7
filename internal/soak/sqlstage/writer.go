package sqlstage

import (
	"context"
	"strings"
	"time"
)

// A layout says how a framework, or an application with tables of its own, writes a queue. Each
// statement is a step of its clients and workers. Those of one write are one transaction.
type layout struct {
	name string
	// metadata is that of the trigger.
	metadata map[string]string
	// tables are statements that make the tables.
	tables []string
	// add makes a job ready, take hands the oldest one out, finish removes one that was handed out,
	// and empty removes all. Afterwards notify notifies of a job that was added.
	add, take, finish, empty, notify string
	// late is how much later than others a change is noticed.
	late time.Duration
}

// A writer writes one queue.
type writer struct {
	database database
	layout   layout
}

// Add implements ledger.Writer.
func (w *writer) Add(ctx context.Context, n int) error {
	return w.run(ctx, strings.Repeat(w.layout.add+";", n)+w.layout.notify)
}

// Take implements ledger.Writer.
func (w *writer) Take(ctx context.Context) error { return w.run(ctx, w.layout.take) }

// Finish implements ledger.Writer. A job that waits is taken first, as a worker does.
func (w *writer) Finish(ctx context.Context, taken, ready int) error {
	return w.run(ctx, strings.Repeat(w.layout.finish+";", taken)+strings.Repeat(w.layout.take+";"+w.layout.finish+";", ready))
}

// Empty implements ledger.Writer.
func (w *writer) Empty(ctx context.Context) error { return w.run(ctx, w.layout.empty) }

func (w *writer) run(ctx context.Context, statements string) error {
	return w.database.Try(ctx, statements)
}
