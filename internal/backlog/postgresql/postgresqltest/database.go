package postgresqltest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
)

// A Database is a new database of a server. Several goroutines may use it.
type Database struct {
	t    testing.TB
	Name string
	// Server is where it is.
	Server *Server
	pool   *pgxpool.Pool
}

// Database creates a database, which the test's own connections enter as the superuser. options are
// those of CREATE DATABASE.
func (s *Server) Database(t testing.TB, options ...string) *Database {
	t.Helper()
	name := fmt.Sprintf("db%d", s.names.Add(1))
	conn, err := pgx.Connect(t.Context(), s.URL("postgres", "postgres"))
	if err != nil {
		t.Fatal(err)
	}
	// The template is in use while another database is created.
	err = childprocess.Poll(t.Context(), "a database", Patience, 10*time.Millisecond, func(ctx context.Context) error {
		_, err := conn.Exec(ctx, strings.Join(append([]string{"CREATE DATABASE", name}, options...), " "))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s.Open(t, name)
}

// Open returns a database that exists, such as one of a standby.
func (s *Server) Open(t testing.TB, name string) *Database {
	t.Helper()
	d := &Database{t: t, Name: name, Server: s}
	config, err := pgxpool.ParseConfig(d.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	config.MaxConns = 4
	// Statements with the same text have other tables in another schema.
	config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec
	if d.pool, err = pgxpool.NewWithConfig(context.WithoutCancel(t.Context()), config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.pool.Close)
	return d
}

// URL is where a user of the server finds the database.
func (d *Database) URL(user string) string { return d.Server.URL(user, d.Name) }

// Exec runs a statement, which must succeed.
func (d *Database) Exec(t testing.TB, statement string, args ...any) {
	t.Helper()
	if _, err := d.pool.Exec(t.Context(), statement, args...); err != nil {
		t.Fatalf("%s: %v", firstLine(statement), err)
	}
}

// Run runs a text of several statements, which must succeed.
func (d *Database) Run(t testing.TB, statements string) {
	t.Helper()
	if err := d.Try(t.Context(), statements); err != nil {
		t.Fatalf("%s: %v", firstLine(statements), err)
	}
}

// Try runs a text of several statements.
func (d *Database) Try(ctx context.Context, statements string) error {
	conn, err := d.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	_, err = conn.Conn().PgConn().Exec(ctx, statements).ReadAll()
	return err
}

// Text returns the only column of the only row that a statement yields, as a text.
func (d *Database) Text(t testing.TB, statement string, args ...any) string {
	t.Helper()
	var text string
	if err := d.pool.QueryRow(t.Context(), "SELECT ("+statement+")::text", args...).Scan(&text); err != nil {
		t.Fatalf("%s: %v", firstLine(statement), err)
	}
	return text
}

// Locked holds the strongest lock of a table until release is closed.
func (d *Database) Locked(ctx context.Context, table string, release <-chan struct{}) error {
	tx, err := d.pool.Begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback(ctx) //nolint:errcheck // it has changed nothing
	if _, err := tx.Exec(ctx, "LOCK TABLE "+table); err != nil {
		return err
	}
	<-release
	return nil
}

// Reconnect replaces the connections of the test after a restart of the server.
func (d *Database) Reconnect() { d.pool.Reset() }

func firstLine(statement string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(statement), "\n")
	return line
}
