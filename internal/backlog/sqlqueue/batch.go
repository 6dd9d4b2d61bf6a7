package sqlqueue

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// A Batch is the queues of one layout and one set of parameters. Add them, then make the statement,
// then read each of its rows.
type Batch struct {
	Layout Layout
	Params backlog.Params
	// Limit is the number at which each count stops. A count that reaches it is backlog.Capped.
	Limit int64

	counts Counts
	names  []string
	index  map[string]int
	rows   []Row
	errs   []error
	found  []bool
	// tables are those of a layout with Tables, by the index of their queue; denied are the names of
	// those that the user may not read.
	tables map[int]foundTable
	denied map[int]string
}

// A foundTable is the table of a queue: its quoted name, and the variant that it is read by.
type foundTable struct{ name, variant string }

// A DeniedTableError is a table that the user of the connection may not read. It is backlog.ErrDenied.
type DeniedTableError struct {
	// Table is its quoted name.
	Table string
}

func (e *DeniedTableError) Error() string {
	return fmt.Sprintf("%v: the user may not read the table %s", backlog.ErrDenied, backlog.Line(e.Table))
}

// Unwrap returns backlog.ErrDenied.
func (e *DeniedTableError) Unwrap() error { return backlog.ErrDenied }

// NewBatch returns a batch without queues.
func NewBatch(l Layout, p backlog.Params, limit int64) *Batch {
	return &Batch{Layout: l, Params: p, Limit: limit, counts: l.Counts(p), index: make(map[string]int)}
}

// Add adds a queue, unless it was added before.
func (b *Batch) Add(queue string) {
	if _, known := b.index[queue]; known {
		return
	}
	b.index[queue] = len(b.names)
	b.names = append(b.names, queue)
}

// Names are the queues, in the order of the argument of a statement.
func (b *Batch) Names() []string { return b.names }

// columnsOf returns the columns of a statement except for the first one, with the placeholders.
func (b *Batch) columnsOf() []string {
	c := b.counts
	counted := func(rows, otherwise string) string {
		if rows == "" {
			return otherwise
		}
		return "(SELECT count(*) FROM (SELECT 1 " + rows + " LIMIT " + limit + ") bounded)"
	}
	or := func(expression, otherwise string) string {
		if expression == "" {
			return otherwise
		}
		return "(" + expression + ")"
	}
	all := make([]string, columns)
	all[columnExists] = or(c.Exists, "1")
	all[columnReady], all[columnDue], all[columnInFlight] = counted(c.Ready, "0"), counted(c.Due, "0"), counted(c.InFlight, "NULL")
	all[columnOldest], all[columnNext], all[columnPaused] = or(c.Oldest, "NULL"), or(c.Next, "NULL"), or(c.Paused, "0")
	all[columnNotifies], all[columnQuiet] = or(c.Notifies, "0"), or(c.Quiet, "0")
	all[columnEnqueued], all[columnMaxUseful] = or(c.Enqueued, "NULL"), or(c.MaxUseful, "NULL")
	return all[1:]
}

// OverArray returns one statement for all queues, whose only argument is an array of their names. It
// is for engines with unnest.
func (b *Batch) OverArray() string {
	fragments := strings.Join(b.columnsOf(), ",\n")
	return strings.NewReplacer(Queue, "q.name", limit, strconv.FormatInt(b.Limit, 10)).Replace(
		"SELECT q.i - 1,\n" + fragments + "\nFROM unnest($1::text[]) WITH ORDINALITY AS q(name, i)")
}

// OverTables is OverArray for a layout with Tables: each queue that has a table is a part of a UNION.
// It is empty if none has one.
func (b *Batch) OverTables() string {
	fragments := strings.Join(b.columnsOf(), ",")
	var parts []string
	for i := range b.names {
		table, found := b.tables[i]
		if !found {
			continue
		}
		// The variant has placeholders of its own.
		text := strings.ReplaceAll(fragments, Variant, table.variant)
		parts = append(parts, fmt.Sprintf("SELECT %d,", i)+strings.NewReplacer(
			Queue, fmt.Sprintf("($1::text[])[%d]", i+1), Table, table.name, limit, strconv.FormatInt(b.Limit, 10)).Replace(text)+
			// A statement has to use its argument.
			" WHERE $1::text[] IS NOT NULL")
	}
	return strings.Join(parts, "\nUNION ALL\n")
}

// Union returns one statement for all queues, and its arguments: each name as often as it is needed. It
// is for engines without arrays.
func (b *Batch) Union() (statement string, args []any) {
	fragments := strings.ReplaceAll(strings.Join(b.columnsOf(), ","), limit, strconv.FormatInt(b.Limit, 10))
	times := strings.Count(fragments, Queue)
	fragments = strings.ReplaceAll(fragments, Queue, "?")
	parts := make([]string, 0, len(b.names))
	for i, name := range b.names {
		parts = append(parts, "SELECT "+strconv.Itoa(i)+","+fragments)
		for range times {
			args = append(args, name)
		}
	}
	return strings.Join(parts, "\nUNION ALL\n"), args
}

// TakeTable takes a row of the statement of Tables.
func (b *Batch) TakeTable(values []Value) error {
	if len(values) != 3 {
		return fmt.Errorf("%w: the server answers %d columns for a table, want 3", backlog.ErrMismatch, len(values))
	}
	i, err := strconv.Atoi(string(values[0]))
	if err != nil || i < 0 || i >= len(b.names) {
		return fmt.Errorf("%w: the server answers queue %q, which was not asked for", backlog.ErrMismatch, backlog.Line(string(values[0])))
	}
	if values[2] == nil {
		if b.denied == nil {
			b.denied = make(map[int]string)
		}
		b.denied[i] = string(values[1])
		return nil
	}
	v, err := strconv.Atoi(string(values[2]))
	if err != nil || v < 0 || v >= len(b.Layout.Variants) {
		return fmt.Errorf("%w: the server answers variant %q of a table", backlog.ErrMismatch, backlog.Line(string(values[2])))
	}
	if b.tables == nil {
		b.tables = make(map[int]foundTable)
	}
	b.tables[i] = foundTable{name: string(values[1]), variant: b.Layout.Variants[v]}
	return nil
}

// TakeRow takes a row of the statement for the queues. asked is before the statement was sent, and at
// when it was answered.
func (b *Batch) TakeRow(values []Value, asked, at time.Time) error {
	b.begin()
	i, row, err := readRow(values, b.counts, asked, at, b.Limit)
	if i >= len(b.names) {
		return fmt.Errorf("%w: the server answers queue %d of %d", backlog.ErrMismatch, i, len(b.names))
	}
	b.rows[i], b.errs[i], b.found[i] = row, err, true
	return nil
}

func (b *Batch) begin() {
	if len(b.found) != len(b.names) {
		n := len(b.names)
		b.rows, b.errs, b.found = make([]Row, n), make([]error, n), make([]bool, n)
	}
}

// Row returns what the server answered about a queue. at is when it answered: a queue without a table
// is missing.
func (b *Batch) Row(queue string, at time.Time) (Row, error) {
	b.begin()
	i, known := b.index[queue]
	switch {
	case !known:
		return Row{}, fmt.Errorf("%w: the queue was not asked for", backlog.ErrUnavailable)
	case b.found[i]:
		return b.rows[i], b.errs[i]
	case b.denied[i] != "":
		return Row{}, &DeniedTableError{Table: b.denied[i]}
	case b.lacksTable(i):
		return Row{Reading: backlog.Reading{At: at, Missing: true, InFlight: backlog.Exactly(0)}}, nil
	default:
		return Row{}, fmt.Errorf("%w: the server did not answer about the queue", backlog.ErrPartial)
	}
}

// lacksTable reports that a queue has no table where each has one.
func (b *Batch) lacksTable(i int) bool {
	_, has := b.tables[i]
	return b.Layout.Tables != nil && !has
}
