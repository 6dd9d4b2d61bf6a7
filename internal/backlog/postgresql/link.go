package postgresql

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/network"
)

// errNoSecond keeps the client library from connecting again to cancel a statement: the timeout of
// statements ends it, and the connection would outlive the source.
var errNoSecond = errors.New("statements are not cancelled")

// A link is one connection to the server, established when it is needed. One goroutine at a time uses
// it, and may use another one after close.
type link struct {
	config  *pgconn.Config
	timeout time.Duration
	conn    *pgconn.PgConn
	// budget is what the server may still send.
	budget network.Budget
	// dials reports that a connection is being established.
	dials atomic.Bool
	// cleanups wait for the client library to release connections that broke.
	cleanups sync.WaitGroup
}

// newLink returns a link without a connection. notified is called, by the goroutine that uses the
// link, with each notification that arrives.
func newLink(c *pgconn.Config, timeout time.Duration, notified func(channel, payload string)) *link {
	l := &link{config: c.Copy(), timeout: timeout}
	dialer := &net.Dialer{KeepAlive: 15 * time.Second}
	l.config.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		if !l.dials.Load() {
			return nil, errNoSecond
		}
		conn, err := dialer.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return l.budget.Bound(conn), nil
	}
	l.config.OnNotification = func(_ *pgconn.PgConn, n *pgconn.Notification) { notified(n.Channel, n.Payload) }
	return l
}

// connect returns the connection, after it was established if there is none.
func (l *link) connect(ctx context.Context) (conn *pgconn.PgConn, err error) {
	l.allow()
	if l.isOpen() {
		return l.conn, nil
	}
	l.drop() //nolint:contextcheck // it has a timeout of its own
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	l.dials.Store(true)
	defer l.dials.Store(false)
	l.conn, err = pgconn.ConnectConfig(ctx, l.config)
	return l.conn, err
}

// isOpen reports whether there is a connection.
func (l *link) isOpen() bool { return l.conn != nil && !l.conn.IsClosed() }

// allow lets the server send another answer.
func (l *link) allow() { l.budget.Allow(maxExchange) }

// drop ends the connection, if there is one.
func (l *link) drop() {
	if l.conn == nil {
		return
	}
	conn := l.conn
	l.conn = nil
	if conn.IsClosed() {
		// The client library tries to end it politely, which a server that is silent would delay.
		_ = conn.Conn().Close()
		l.cleanups.Go(func() { <-conn.CleanupDone() })
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	_ = conn.Close(ctx)
}

// close ends the connection and waits until it is released.
func (l *link) close() {
	l.drop()
	l.cleanups.Wait()
}

// A statement is a text of SQL with its arguments.
type statement struct {
	sql  string
	args []string
	// columns receives the names of the columns, unless it is nil, and row each row, whose values are
	// valid until it returns. An error of these is returned, and does not end the transaction.
	columns func(names []string) error
	row     func(values [][]byte) error
}

// transaction runs statements in a read-only transaction, in one round trip. A statement fails where
// row-level security would hide rows from it: a count of what is left would be too low, and mostly 0.
func (l *link) transaction(ctx context.Context, timeout time.Duration, statements ...statement) error {
	conn, err := l.connect(ctx)
	if err != nil {
		return &connectError{err}
	}
	batch := &pgconn.Batch{}
	add := func(sql string, args ...string) {
		values := make([][]byte, len(args))
		for i, arg := range args {
			values[i] = []byte(arg)
		}
		batch.ExecParams(sql, values, nil, nil, nil)
	}
	add("BEGIN READ ONLY")
	add(fmt.Sprintf("SET LOCAL statement_timeout = %d", timeout.Milliseconds()))
	add("SET LOCAL row_security = off")
	for _, s := range statements {
		add(s.sql, s.args...)
	}
	add("COMMIT")
	// The first three set the transaction up, and the last one ends it.
	err = receive(conn.ExecBatch(ctx, batch), slices.Concat(make([]statement, 3), statements, make([]statement, 1)))
	l.rollBack(ctx)
	return err
}

// receive reads all results. The first error of a statement's functions is returned if there is no
// other.
func receive(all *pgconn.MultiResultReader, statements []statement) error {
	var refused error
	for i := 0; all.NextResult() && i < len(statements); i++ {
		s, rows := statements[i], all.ResultReader()
		if s.columns != nil && refused == nil {
			refused = s.columns(namesOf(rows))
		}
		for rows.NextRow() {
			if s.row != nil && refused == nil {
				refused = s.row(rows.Values())
			}
		}
		if _, err := rows.Close(); err != nil {
			_ = all.Close()
			return err
		}
	}
	if err := all.Close(); err != nil {
		return err
	}
	return refused
}

// namesOf returns the names of the columns of a result.
func namesOf(rows *pgconn.ResultReader) []string {
	fields := rows.FieldDescriptions()
	names := make([]string, len(fields))
	for i, field := range fields {
		names[i] = field.Name
	}
	return names
}

// rollBack ends a transaction in which a statement failed.
func (l *link) rollBack(ctx context.Context) {
	if !l.isOpen() || l.conn.TxStatus() == 'I' {
		return
	}
	if _, err := l.conn.Exec(ctx, "ROLLBACK").ReadAll(); err != nil {
		l.drop() //nolint:contextcheck // it has a timeout of its own
	}
}

// A connectError is a connection that could not be established.
type connectError struct{ err error }

func (e *connectError) Error() string { return e.err.Error() }

func (e *connectError) Unwrap() error { return e.err }
