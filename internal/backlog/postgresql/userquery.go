package postgresql

import (
	"context"
	"fmt"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/sqlqueue"
)

// errNotAllowed is the SQL of a user on a connection that does not allow it.
var errNotAllowed = fmt.Errorf("%w: the connection does not allow the SQL of triggers", backlog.ErrDenied)

// queryLayout returns the layout for the SQL of users.
func queryLayout() backlog.Layout {
	l := sqlqueue.QueryLayout(settingAllowQueries)
	l.Parameters = []backlog.Parameter{{
		Name: sqlqueue.ParamChannel, Kind: backlog.KindText,
		Doc: "Channel on which the application notifies of each change of what the query counts (NOTIFY). The query is then run at once; without it, it is polled.",
	}}
	return l
}

// userNotices are the notifications of a query.
func userNotices(q backlog.Query) sqlqueue.Notices {
	channel := q.Params.Get(sqlqueue.ParamChannel)
	if channel == "" {
		return sqlqueue.Notices{}
	}
	return sqlqueue.Notices{Channel: func(backlog.Params, string) string { return channel }}
}

// A queryRunner runs the SQL of users, one query after the other. One goroutine at a time uses it.
type queryRunner struct {
	link    *link
	timeout time.Duration
	pace    sqlqueue.Pace
}

// readUsers reads what users count. err fails them all.
func (s *source) readUsers(ctx context.Context, x *exchange, err error) {
	s.queries.pace.Sweep(time.Now())
	for _, i := range x.users {
		if err != nil {
			x.results[i] = s.failure(x.queries[i], err, true)
			continue
		}
		x.results[i] = s.readUser(ctx, x.queries[i], x.tickets[i])
	}
}

// readUser reads one query, unless its last result still holds.
func (s *source) readUser(ctx context.Context, q backlog.Query, t ticket) backlog.Result {
	if !s.cfg.queries {
		return s.failure(q, errNotAllowed, false)
	}
	reading, err, isHeld := s.queries.pace.Held(q, time.Now())
	if !isHeld {
		began := time.Now()
		err = s.contained(s.queries.link, func() (err error) { //nolint:contextcheck // what drops a connection has a timeout of its own
			reading, err = s.queries.run(ctx, q)
			return err
		})
		if ctx.Err() == nil {
			s.queries.pace.Note(q, reading, err, time.Since(began), time.Now())
		}
	}
	if err != nil {
		return s.failure(q, err, !isStatus(err) && !isRefused(err))
	}
	reading.Epoch = s.facts.epoch
	if s.facts.standby {
		reading.AddWarning(standbyWarning)
	}
	result := backlog.Result{Reading: reading}
	if notices := userNotices(q); notices.Known() && !isHeld && !s.cfg.poll {
		result.Armed, result.Changed = s.listener.arm(t, q, notices, sqlqueue.Row{Reading: reading}, time.Now())
	}
	return result
}

// run runs a query.
func (r *queryRunner) run(ctx context.Context, q backlog.Query) (backlog.Reading, error) {
	query, err := sqlqueue.NewUserQuery(q.Queue)
	if err != nil {
		return backlog.Reading{}, fmt.Errorf("%w: %w", backlog.ErrMismatch, err)
	}
	err = r.link.transaction(ctx, r.timeout, statement{
		sql: query.Statement(), columns: query.TakeColumns,
		row: func(values [][]byte) error { return query.TakeRow(rowOf(values), time.Now()) },
	})
	if err != nil {
		return backlog.Reading{}, err
	}
	return query.Reading(time.Now())
}
