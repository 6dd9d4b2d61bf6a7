package postgresql

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/sqlqueue"
)

// maxNames is how many queues one statement reads. More make another one.
const maxNames = 2000

// An exchange is what one call of Read reads. It is for the goroutine that reads, but each of the two
// that read layouts and the SQL of users writes the results of its own queries.
type exchange struct {
	queries []backlog.Query
	// tickets are the states of the queues before they were read, and results are what was read.
	tickets []ticket
	results []backlog.Result
	// groups and users are the queries that can be read; users are the indexes of those with SQL of
	// their own.
	groups []*sqlqueue.Group
	users  []int
}

// Read implements backlog.Source.
func (s *source) Read(ctx context.Context, queries []backlog.Query, results []backlog.Result) []backlog.Result {
	first := len(results)
	results = append(results, make([]backlog.Result, len(queries))...)
	own := results[first:]
	ctx, leave, err := s.gate.Enter(ctx)
	if err != nil {
		for i, q := range queries {
			own[i] = s.failure(q, err, true)
		}
		return results
	}
	defer leave()
	began := time.Now()
	x := &exchange{queries: queries, tickets: make([]ticket, len(queries)), results: own}
	x.groups, x.users = sqlqueue.Plan(queries, s.layouts, maxNames, func(i int, err error) { own[i] = s.failure(queries[i], err, false) })
	if len(x.groups)+len(x.users) > 0 {
		s.readAll(ctx, x)
	}
	s.took.Store(int64(time.Since(began)))
	return results
}

// readAll reads groups, and next to them what users count, on a connection of its own.
func (s *source) readAll(ctx context.Context, x *exchange) {
	s.begins(x)
	err := s.contained(s.link, func() error { return s.refresh(ctx) }) //nolint:contextcheck // what drops a connection has a timeout of its own
	var next sync.WaitGroup
	next.Go(func() { s.readUsers(ctx, x, err) })
	s.readGroups(ctx, x, err)
	next.Wait()
	if err == nil {
		s.worked = true
		s.verify(ctx)
	}
}

// readGroups reads groups one after the other. What concerns the connection fails all that are left;
// err already does.
func (s *source) readGroups(ctx context.Context, x *exchange, err error) {
	for _, g := range x.groups {
		whole := err != nil
		failure := err
		if failure == nil {
			failure = s.readApart(ctx, x, g)
		}
		if failure == nil {
			continue
		}
		if !isStatus(failure) && !isRefused(failure) {
			whole, err = true, failure
		}
		for _, i := range g.Members {
			x.results[i] = s.failure(x.queries[i], failure, whole)
		}
	}
}

// readApart reads a group. The server may refuse one of its names alone, such as one that the encoding
// of the database does not have, or a table of its own that the user may not read.
func (s *source) readApart(ctx context.Context, x *exchange, g *sqlqueue.Group) error {
	return g.Apart(func(part *sqlqueue.Group) error {
		return s.contained(s.link, func() error { return s.readGroup(ctx, x, part) }) //nolint:contextcheck // what drops a connection has a timeout of its own
	}, func(err error) bool {
		state, is := errors.AsType[*pgconn.PgError](err)
		return is && (strings.HasPrefix(state.Code, "22") || g.Layout.Tables != nil && strings.HasPrefix(state.Code, "42"))
	}, func(i int, err error) { x.results[i] = s.failure(x.queries[i], err, false) })
}

// contained runs a part of a read that uses a link. Its error wraps one of backlog's errors.
func (s *source) contained(l *link, read func() error) error {
	err := func() (err error) {
		defer backlog.Contain(&err)
		return read()
	}()
	if errors.Is(err, backlog.ErrPanic) {
		s.log.Error("a read caused a panic", "err", err)
		l.drop()
	}
	return failed(err)
}

// begins notes the state of all queues before they are read.
func (s *source) begins(x *exchange) {
	if s.cfg.poll {
		return
	}
	now, look := time.Now(), false
	begin := func(i int, notices sqlqueue.Notices) {
		if !notices.Known() {
			return
		}
		var isNew bool
		x.tickets[i], isNew = s.listener.begin(notices, x.queries[i].Params, x.queries[i].Queue, now)
		look = look || isNew
	}
	for _, g := range x.groups {
		for _, i := range g.Members {
			begin(i, g.Layout.Notices)
		}
	}
	for _, i := range x.users {
		begin(i, userNotices(x.queries[i]))
	}
	if look {
		s.listener.look()
	}
}

// readGroup reads the queries of a group: one statement, after one that finds the tables where the
// queues have tables of their own.
func (s *source) readGroup(ctx context.Context, x *exchange, g *sqlqueue.Group) error {
	batch := sqlqueue.NewBatch(g.Layout, g.Params, s.cfg.limit)
	for _, i := range g.Members {
		batch.Add(x.queries[i].Queue)
	}
	names := array(batch.Names())
	text := ""
	if g.Layout.Tables == nil {
		text = batch.OverArray()
	} else {
		err := s.link.transaction(ctx, s.cfg.statementTimeout, statement{
			sql: g.Layout.Tables(g.Params), args: []string{names},
			row: func(values [][]byte) error { return batch.TakeTable(rowOf(values)) },
		})
		if err != nil {
			return err
		}
		text = batch.OverTables()
	}
	asked := time.Now()
	if text != "" {
		err := s.link.transaction(ctx, s.cfg.statementTimeout, statement{
			sql: text, args: []string{names},
			row: func(values [][]byte) error { return batch.TakeRow(rowOf(values), asked, time.Now()) },
		})
		if err != nil {
			return err
		}
	}
	at := time.Now()
	for _, i := range g.Members {
		x.results[i] = s.conclude(x, i, g.Layout.Notices, batch, at)
	}
	return nil
}

// conclude returns the result of a query whose group was read.
func (s *source) conclude(x *exchange, i int, notices sqlqueue.Notices, batch *sqlqueue.Batch, at time.Time) backlog.Result {
	q := x.queries[i]
	row, err := batch.Row(q.Queue, at)
	if err != nil {
		return s.failure(q, err, false)
	}
	row.Reading.Epoch = s.facts.epoch
	if s.facts.standby {
		row.Reading.AddWarning(standbyWarning)
	}
	result := backlog.Result{Reading: row.Reading}
	if notices.Known() && !s.cfg.poll {
		result.Armed, result.Changed = s.listener.arm(x.tickets[i], q, notices, row, at)
		s.hasClients = s.hasClients || notices.ByClient
	}
	return result
}

// verify sends a probe if notifications were not seen to arrive yet. Its failure says nothing about
// the queues.
func (s *source) verify(ctx context.Context) {
	now := time.Now()
	if s.cfg.poll || s.facts.standby || !s.listener.verifies(now) {
		return
	}
	probe, _, up := s.listener.probe(now)
	if !up {
		return
	}
	if err := s.link.transaction(ctx, s.cfg.statementTimeout, probe); err != nil {
		s.listener.refuse("the server refuses to notify: " + backlog.Line(failed(err).Error()))
	}
}

// confirmed returns the result of a confirmation. Where clients notify, and not the database, another
// client may have added work in silence, so those queues are not confirmed.
func (s *source) confirmed(until time.Time) (time.Time, error) {
	if !s.hasClients {
		return until, nil
	}
	return until, &backlog.PartlyConfirmedError{
		Err:         fmt.Errorf("confirm connection %q: clients notify, and not the database: %w", s.cfg.name, errUnsupported),
		Unconfirmed: func(q backlog.Query) bool { return s.layouts[q.Layout].Notices.ByClient },
	}
}

// failure returns the result of a query that failed. whole reports that the error concerns the
// connection.
func (s *source) failure(q backlog.Query, err error, whole bool) backlog.Result {
	return backlog.Result{Err: &backlog.ReadError{Query: q, Connection: s.cfg.name, Err: s.advised(err), Whole: whole}}
}

// rowOf returns values as sqlqueue has them.
func rowOf(values [][]byte) []sqlqueue.Value {
	row := make([]sqlqueue.Value, len(values))
	for i, v := range values {
		row[i] = v
	}
	return row
}

// array returns names as the text of an array:
// https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO.
func array(names []string) string {
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`)
	var b strings.Builder
	b.WriteByte('{')
	for i, name := range names {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('"')
		_, _ = escape.WriteString(&b, name)
		b.WriteByte('"')
	}
	b.WriteByte('}')
	return b.String()
}
