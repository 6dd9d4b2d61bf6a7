package sqlqueue

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/spelling"
)

const (
	// QueryName is the name of the layout for the SQL of users.
	QueryName = "query"
	// ParamChannel is the parameter that names a channel on which the user's application notifies.
	ParamChannel = "channel"
	// maxQuery is the length of a query, in bytes.
	maxQuery = 16 << 10
	// maxRows is how many rows a query may yield, one for each queue.
	maxRows = 1000
	// maxNumber bounds what a query counts, so that sums do not overflow.
	maxNumber = 1e15
)

// The columns that a query may yield, as foldName writes them.
const (
	nameReady     = "ready"
	nameDue       = "due"
	nameInFlight  = "inflight"
	nameOldest    = "oldest"
	nameNext      = "next"
	namePaused    = "paused"
	nameMaxUseful = "maxuseful"
	nameQueue     = "queue"
)

// columnNames are the same, as they are documented.
func columnNames() []string {
	return []string{nameReady, nameDue, "in_flight", nameOldest, nameNext, namePaused, "max_useful", nameQueue}
}

// QueryLayout returns the layout for the SQL of users. allow is the setting that a connection needs
// for it.
func QueryLayout(allow string) backlog.Layout {
	return backlog.Layout{
		Name: QueryName,
		Summary: "What the trigger's own SQL counts, where the connection has `" + allow + ": true`. It is one SELECT, which runs in a read-only transaction, with a timeout, as a part of another SELECT. " +
			"Its columns are `ready`, and where they are known `due`, `in_flight`, `oldest` (for how many seconds the oldest message has been waiting), `next` (in how many seconds the next delayed one is due), " +
			"`paused` and `max_useful`. A single column is `ready`, whatever its name. It yields one row, or with a column `queue` one for each queue, at most 1000.",
		Queue:          "SELECT statement",
		MissingIsError: true,
		Ready:          "column `ready`, rounded up. NULL, a negative number and no row at all are errors; no row for any `queue` is a queue that is missing",
		Due:            "column `due`",
		InFlight:       "column `in_flight`",
		Oldest:         "column `oldest`, exact",
		Check:          checkUserQuery,
		CheckOn: func(s backlog.Settings, _ backlog.Query) error {
			if !s.Bool(allow) {
				return fmt.Errorf("%s: the connection does not allow the SQL of triggers; %s: true would", QueryName, allow)
			}
			return nil
		},
	}
}

// checkUserQuery reports a text that is no SELECT, if that is seen without the server.
func checkUserQuery(q backlog.Query) error {
	_, err := NewUserQuery(q.Queue)
	return err
}

// A UserQuery is the SQL of a user, and what it has yielded. It is for one read.
type UserQuery struct {
	text string
	// columns are the folded names of the columns; nil before the server has answered.
	columns []string
	parts   []backlog.Part
}

// NewUserQuery returns a query without results. The error says what a text needs.
func NewUserQuery(text string) (*UserQuery, error) {
	text = strings.TrimSpace(strings.TrimRight(strings.TrimSpace(text), ";"))
	first := strings.ToLower(strings.TrimLeft(text, "( \t\r\n"))
	isSelect := slices.ContainsFunc([]string{"select", "with", "values", "--", "/*"}, func(word string) bool { return strings.HasPrefix(first, word) })
	switch {
	case len(text) > maxQuery:
		return nil, fmt.Errorf("%s: has %d bytes, want at most %d", QueryName, len(text), maxQuery)
	case strings.ContainsRune(text, 0):
		return nil, errors.New(QueryName + ": has a character 0")
	case !isSelect:
		return nil, errors.New(QueryName + ": want one SELECT statement")
	}
	return &UserQuery{text: text}, nil
}

// Statement returns the statement to run: the query as a part of a SELECT, so that it can be nothing
// else, and with a bound of its rows.
func (u *UserQuery) Statement() string {
	return fmt.Sprintf("SELECT * FROM (\n%s\n) AS counted LIMIT %d", u.text, maxRows+1)
}

// foldName returns a name as columns are compared.
func foldName(name string) string { return strings.ReplaceAll(strings.ToLower(name), "_", "") }

// TakeColumns takes the names of the columns, before the rows.
func (u *UserQuery) TakeColumns(names []string) error {
	u.columns = make([]string, len(names))
	for i, name := range names {
		u.columns[i] = foldName(name)
	}
	known := columnNames()
	for i, name := range known {
		known[i] = foldName(name)
	}
	if len(names) == 1 && !slices.Contains(known, u.columns[0]) {
		u.columns[0] = nameReady
	}
	for i, column := range u.columns {
		if !slices.Contains(known, column) {
			near := ""
			if found := spelling.Nearest(strings.ToLower(names[i]), columnNames()); found != "" {
				near = fmt.Sprintf("; did you mean %q", found)
			}
			return fmt.Errorf("%w: the query yields a column %q, want %s%s", backlog.ErrMismatch, backlog.Line(names[i]), strings.Join(columnNames(), ", "), near)
		}
		if slices.Index(u.columns, column) != i {
			return fmt.Errorf("%w: the query yields the column %q twice", backlog.ErrMismatch, column)
		}
	}
	if !slices.Contains(u.columns, nameReady) {
		return fmt.Errorf("%w: the query yields no column ready", backlog.ErrMismatch)
	}
	return nil
}

// TakeRow takes a row. at is when the server answered.
func (u *UserQuery) TakeRow(values []Value, at time.Time) error {
	switch {
	case len(values) != len(u.columns):
		return fmt.Errorf("%w: a row has %d columns, want %d", backlog.ErrMismatch, len(values), len(u.columns))
	case len(u.parts) >= maxRows:
		return fmt.Errorf("%w: the query yields more than %d rows", backlog.ErrExhausted, maxRows)
	case len(u.parts) == 1 && !u.isPerQueue():
		return fmt.Errorf("%w: the query yields several rows, want one, or a column queue", backlog.ErrMismatch)
	}
	part := backlog.Part{Reading: backlog.Reading{At: at}}
	for i, column := range u.columns {
		if err := take(&part, column, values[i]); err != nil {
			return err
		}
	}
	u.parts = append(u.parts, part)
	return nil
}

// take takes one column of a row.
func take(part *backlog.Part, column string, v Value) error {
	r := &part.Reading
	switch column {
	case nameQueue:
		if v == nil || len(v) > backlog.MaxQueueName {
			return fmt.Errorf("%w: queue is NULL, or longer than %d bytes", backlog.ErrMismatch, backlog.MaxQueueName)
		}
		part.Queue = string(v)
		return nil
	case namePaused:
		d := &decoder{values: []Value{v}}
		r.Paused = d.truth(0, namePaused)
		return d.err
	case nameOldest, nameNext:
		return takeTime(r, column, v)
	}
	n, err := number(column, v)
	if err != nil {
		return err
	}
	// A fraction of a message is work, too.
	count := int64(math.Ceil(n))
	switch column {
	case nameReady:
		r.Ready = count
	case nameDue:
		r.Due = count
	case nameInFlight:
		r.InFlight = backlog.Exactly(count)
	case nameMaxUseful:
		r.MaxUseful = count
	}
	return nil
}

// takeTime takes a column of seconds, which may be NULL.
func takeTime(r *backlog.Reading, column string, v Value) error {
	if v == nil {
		return nil
	}
	s, ok := parseSeconds(string(v))
	switch {
	case !ok:
		return fmt.Errorf("%w: %s is %q, want a number of seconds", backlog.ErrMismatch, column, backlog.Line(string(v)))
	case column == nameNext:
		r.NextDue = r.At.Add(s)
	default:
		r.Oldest = backlog.Age{Since: r.At.Add(-max(0, s)), Kind: backlog.AgeExact}
	}
	return nil
}

func (u *UserQuery) isPerQueue() bool { return slices.Contains(u.columns, nameQueue) }

// Reading returns what the query has counted. at is when the server answered.
func (u *UserQuery) Reading(at time.Time) (backlog.Reading, error) {
	switch {
	case u.isPerQueue() && len(u.parts) == 0:
		return backlog.Reading{At: at, Missing: true, InFlight: backlog.Count{Known: slices.Contains(u.columns, nameInFlight)}}, nil
	case len(u.parts) == 0:
		return backlog.Reading{}, fmt.Errorf("%w: the query yields no row", backlog.ErrMismatch)
	case u.isPerQueue():
		whole := backlog.Aggregate(u.parts)
		whole.At, whole.Missing = at, false
		return whole, nil
	default:
		return u.parts[0].Reading, nil
	}
}

// number returns a number that is not negative.
func number(column string, v Value) (float64, error) {
	if v == nil {
		return 0, fmt.Errorf("%w: %s is NULL, which is not known to be 0; write COALESCE where it is", backlog.ErrMismatch, column)
	}
	n, err := strconv.ParseFloat(string(v), 64)
	if err != nil || math.IsNaN(n) || n < 0 || n > maxNumber {
		return 0, fmt.Errorf("%w: %s is %q, want a number from 0 to %g", backlog.ErrMismatch, column, backlog.Line(string(v)), maxNumber)
	}
	return n, nil
}
