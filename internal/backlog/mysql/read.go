package mysql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/sqlqueue"
)

// unionSize is how many queues one statement reads.
const unionSize = 100

// Read implements backlog.Source.
func (s *source) Read(ctx context.Context, queries []backlog.Query, results []backlog.Result) []backlog.Result {
	first := len(results)
	results = append(results, make([]backlog.Result, len(queries))...)
	own := results[first:]
	ctx, leave, err := s.begin(ctx)
	if err != nil {
		for i, q := range queries {
			own[i] = s.failure(q, err, true)
		}
		return results
	}
	defer leave()
	began := time.Now()
	refuse := func(i int, err error) { own[i] = s.failure(queries[i], err, false) }
	if groups, users := sqlqueue.Plan(queries, s.layouts, unionSize, refuse); len(groups)+len(users) > 0 {
		s.readAll(ctx, queries, groups, users, own)
	}
	s.took.Store(int64(time.Since(began)))
	return results
}

// readAll reads groups, and next to them what users count, on a connection of its own.
func (s *source) readAll(ctx context.Context, queries []backlog.Query, groups []*sqlqueue.Group, users []int, own []backlog.Result) {
	err := s.contained(func() error { return s.refresh(ctx) })
	var next sync.WaitGroup
	next.Go(func() { s.readUsers(ctx, queries, users, own, err) })
	s.readGroups(ctx, queries, groups, own, err)
	next.Wait()
	s.worked = s.worked || err == nil
}

// readGroups reads groups one after the other. What concerns the connection fails all that are left;
// err already does.
func (s *source) readGroups(ctx context.Context, queries []backlog.Query, groups []*sqlqueue.Group, own []backlog.Result, err error) {
	for _, g := range groups {
		whole, failure := err != nil, err
		if failure == nil {
			failure = s.readApart(ctx, queries, g, own)
		}
		if failure == nil {
			continue
		}
		if isOutage(failure) {
			whole, err = true, failure
		}
		for _, i := range g.Members {
			own[i] = s.failure(queries[i], failure, whole)
		}
	}
}

// readApart reads a group. The server may refuse one of its names alone, such as one that the character
// set of a column does not have.
func (s *source) readApart(ctx context.Context, queries []backlog.Query, g *sqlqueue.Group, own []backlog.Result) error {
	return g.Apart(func(part *sqlqueue.Group) error {
		return s.contained(func() error { return s.readGroup(ctx, queries, part, own) })
	}, isOfText, func(i int, err error) { own[i] = s.failure(queries[i], err, false) })
}

// contained runs a part of a read. Its error wraps one of backlog's errors.
func (s *source) contained(read func() error) error {
	err := func() (err error) {
		defer backlog.Contain(&err)
		return read()
	}()
	if errors.Is(err, backlog.ErrPanic) {
		s.log.Error("a read caused a panic", "err", err)
	}
	return failed(err)
}

// readGroup reads the queries of a group.
func (s *source) readGroup(ctx context.Context, queries []backlog.Query, g *sqlqueue.Group, own []backlog.Result) error {
	batch := sqlqueue.NewBatch(g.Layout, g.Params, s.cfg.limit)
	for _, i := range g.Members {
		batch.Add(queries[i].Queue)
	}
	text, args := batch.Union()
	asked := time.Now()
	rows, err := s.db.QueryContext(ctx, s.limited(text), args...)
	if err != nil {
		return err
	}
	if err := receive(rows, nil, func(values []sqlqueue.Value) error { return batch.TakeRow(values, asked, time.Now()) }); err != nil {
		return err
	}
	at := time.Now()
	for _, i := range g.Members {
		row, err := batch.Row(queries[i].Queue, at)
		if err != nil {
			own[i] = s.failure(queries[i], err, false)
			continue
		}
		own[i] = s.concluded(row.Reading)
	}
	return nil
}

// concluded returns the result of a reading.
func (s *source) concluded(r backlog.Reading) backlog.Result {
	r.Epoch = s.facts.epoch
	if s.facts.replica {
		r.AddWarning(replicaWarning)
	}
	return backlog.Result{Reading: r}
}

// receive reads all rows. columns receives their names first, unless it is nil.
func receive(rows *sql.Rows, columns func([]string) error, row func([]sqlqueue.Value) error) (err error) {
	defer func() {
		if closing := rows.Close(); err == nil {
			err = closing
		}
	}()
	names, err := rows.Columns()
	if err != nil {
		return err
	}
	if columns != nil {
		if err := columns(names); err != nil {
			return err
		}
	}
	raw := make([]sql.RawBytes, len(names))
	targets, values := make([]any, len(names)), make([]sqlqueue.Value, len(names))
	for i := range raw {
		targets[i] = &raw[i]
	}
	for rows.Next() {
		if err := rows.Scan(targets...); err != nil {
			return err
		}
		for i := range raw {
			values[i] = sqlqueue.Value(raw[i])
		}
		if err := row(values); err != nil {
			return err
		}
	}
	return rows.Err()
}

// readUsers reads what users count. err fails them all.
func (s *source) readUsers(ctx context.Context, queries []backlog.Query, users []int, own []backlog.Result, err error) {
	s.pace.Sweep(time.Now())
	for _, i := range users {
		switch {
		case err != nil:
			own[i] = s.failure(queries[i], err, true)
		case !s.cfg.queries:
			own[i] = s.failure(queries[i], errNotAllowed, false)
		default:
			own[i] = s.readUser(ctx, queries[i])
		}
	}
}

// errNotAllowed is the SQL of a user on a connection that does not allow it.
var errNotAllowed = fmt.Errorf("%w: the connection does not allow the SQL of triggers", backlog.ErrDenied)

// readUser reads one query, unless its last result still holds.
func (s *source) readUser(ctx context.Context, q backlog.Query) backlog.Result {
	reading, err, holds := s.pace.Held(q, time.Now())
	if !holds {
		began := time.Now()
		err = s.contained(func() (err error) {
			reading, err = s.count(ctx, q)
			return err
		})
		if ctx.Err() == nil {
			s.pace.Note(q, reading, err, time.Since(began), time.Now())
		}
	}
	if err != nil {
		return s.failure(q, err, isOutage(err))
	}
	return s.concluded(reading)
}

// count runs the SQL of a user in a read-only transaction.
func (s *source) count(ctx context.Context, q backlog.Query) (reading backlog.Reading, err error) {
	query, err := sqlqueue.NewUserQuery(q.Queue)
	if err != nil {
		return backlog.Reading{}, fmt.Errorf("%w: %w", backlog.ErrMismatch, err)
	}
	tx, err := s.queries.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return backlog.Reading{}, err
	}
	defer tx.Rollback() //nolint:errcheck // it has changed nothing
	rows, err := tx.QueryContext(ctx, s.limited(query.Statement()))
	if err != nil {
		return backlog.Reading{}, err
	}
	if err := receive(rows, query.TakeColumns, func(values []sqlqueue.Value) error { return query.TakeRow(values, time.Now()) }); err != nil {
		return backlog.Reading{}, err
	}
	return query.Reading(time.Now())
}

// failure returns the result of a query that failed. whole reports that the error concerns the
// connection.
func (s *source) failure(q backlog.Query, err error, whole bool) backlog.Result {
	return backlog.Result{Err: &backlog.ReadError{Query: q, Connection: s.cfg.name, Err: s.advised(err), Whole: whole}}
}
