package sqlqueue

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// A Value is a column of a row, as text; nil is NULL. It is read before the next row.
type Value []byte

// A Row is what the statement of a Batch yields for one queue.
type Row struct {
	Reading backlog.Reading
	// Notifies reports whether the database notifies of each new row; it is not known if the layout
	// does not have that.
	Notifies, NotifiesKnown bool
	// Quiet is for how long after a notification there may be none.
	Quiet time.Duration
}

// The columns of a Batch's statement, in order.
const (
	columnIndex = iota
	columnExists
	columnReady
	columnDue
	columnInFlight
	columnOldest
	columnNext
	columnPaused
	columnNotifies
	columnQuiet
	columnEnqueued
	columnMaxUseful
	columns
)

// MaxDelay bounds what a row says about times, so that durations do not overflow.
const maxDelay = 100 * 365 * 24 * time.Hour

// A decoder reads the values of one row. It keeps the first error.
type decoder struct {
	values []Value
	err    error
}

func (d *decoder) fail(what string, v Value) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: the server answers %q for %s", backlog.ErrMismatch, backlog.Line(string(v)), what)
	}
}

// count returns a number of rows, which is never negative.
func (d *decoder) count(column int, what string) int64 {
	v := d.values[column]
	n, err := strconv.ParseInt(string(v), 10, 64)
	if err != nil || n < 0 {
		d.fail(what, v)
		return 0
	}
	return n
}

// counter is count for a number that may be NULL, which is not known then.
func (d *decoder) counter(column int, what string) backlog.Count {
	if d.values[column] == nil {
		return backlog.Count{}
	}
	return backlog.Exactly(d.count(column, what))
}

// truth returns a truth value. NULL is not one.
func (d *decoder) truth(column int, what string) bool {
	switch v := d.values[column]; string(v) {
	case "t", "1", "true":
		return true
	case "f", "0", "false":
		return false
	default:
		d.fail(what, v)
		return false
	}
}

// seconds returns a difference of times; false if it is NULL.
func (d *decoder) seconds(column int, what string) (time.Duration, bool) {
	v := d.values[column]
	if v == nil {
		return 0, false
	}
	s, ok := parseSeconds(string(v))
	if !ok {
		d.fail(what, v)
	}
	return s, ok
}

func parseSeconds(text string) (time.Duration, bool) {
	s, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(s) {
		return 0, false
	}
	limit := maxDelay.Seconds()
	return time.Duration(max(-limit, min(limit, s)) * float64(time.Second)), true
}

// readRow returns the queue's index among those of a batch, and its row. asked is before the statement
// was sent and at when it was answered. most is where counts stop. The error is about the row.
func readRow(values []Value, c Counts, asked, at time.Time, most int64) (index int, row Row, err error) {
	if len(values) != columns {
		return 0, Row{}, fmt.Errorf("%w: the server answers %d columns, want %d", backlog.ErrMismatch, len(values), columns)
	}
	d := &decoder{values: values}
	index = int(d.count(columnIndex, "the number of the queue"))
	r := backlog.Reading{At: at, Missing: !d.truth(columnExists, "whether the queue exists")}
	r.Ready = d.count(columnReady, "ready rows")
	r.Due = d.count(columnDue, "rows that are due")
	r.InFlight = d.counter(columnInFlight, "rows in flight")
	r.Paused = d.truth(columnPaused, "whether the queue is paused")
	r.Enqueued = d.counter(columnEnqueued, "the counter of rows")
	r.MaxUseful = d.counter(columnMaxUseful, "the limit of workers").N
	if age, known := d.seconds(columnOldest, "the age of the oldest row"); known {
		r.Oldest = backlog.Age{Since: at.Add(-max(0, age)), Kind: backlog.AgeExact}
		if c.OldestIsBound {
			r.Oldest.Kind = backlog.AgeLowerBound
		}
	}
	if delay, known := d.seconds(columnNext, "the delay of the next row"); known {
		// The server computed it after it was asked: it is due no earlier than that, and a read that
		// comes later finds it.
		r.NextDue = asked.Add(delay)
		if delay > 0 && r.NextDue.Before(at) {
			r.NextDue = at
		}
	}
	if most > 0 && max(r.Ready, r.Due, r.InFlight.N) >= most {
		r.Quality = backlog.Capped
	}
	row = Row{Reading: r, NotifiesKnown: c.Notifies != ""}
	if row.NotifiesKnown {
		row.Notifies = d.truth(columnNotifies, "whether the database notifies")
	}
	row.Quiet = time.Duration(min(d.count(columnQuiet, "the pause between notifications"), int64(time.Hour/time.Millisecond))) * time.Millisecond
	if c.InFlight != "" && !r.InFlight.Known {
		d.fail("rows in flight", nil)
	}
	return index, row, d.err
}
