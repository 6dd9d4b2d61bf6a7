package mysql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/mysql/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/network"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/reads"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/sqlqueue"
)

// connectionLife is for how long a connection is used. It ends what a query of a user has left in its
// session, such as a named lock.
const connectionLife = time.Minute

// A source reads the queues of one connection. It implements backlog.Source and backlog.Prober.
type source struct {
	cfg     *config
	layouts map[string]sqlqueue.Layout
	log     *slog.Logger
	budget  network.Budget
	// db has the connection that reads the layouts, and queries the one for the SQL of users.
	db, queries *sql.DB
	pace        sqlqueue.Pace
	// facts are what the server said of itself, and asked is when. The goroutine that reads uses them.
	facts facts
	asked time.Time
	// server is its name and version, for Status.
	server atomic.Pointer[string]
	// worked reports that the connection has been read from, so that what fails now is an outage.
	worked bool
	// took is how long the last read took.
	took atomic.Int64
	// gate ends the calls that are under way with the source.
	gate *reads.Gate
}

// open returns a source for a connection. It connects when it is read.
func open(ctx context.Context, c backlog.Connection, log *slog.Logger) (backlog.Source, error) {
	s := &source{layouts: make(map[string]sqlqueue.Layout), log: log.With("connection", c.Name)}
	cfg, err := newConfig(c, &s.budget)
	if err != nil {
		return nil, fmt.Errorf("open connection %q: %w", c.Name, err)
	}
	s.cfg = cfg
	for _, l := range layout.All() {
		s.layouts[l.Name] = l
	}
	connector, err := mysql.NewConnector(cfg.client)
	if err != nil {
		return nil, fmt.Errorf("open connection %q: %w", c.Name, err)
	}
	s.db, s.queries = sql.OpenDB(connector), sql.OpenDB(connector)
	for _, db := range []*sql.DB{s.db, s.queries} {
		db.SetMaxOpenConns(1)
		db.SetConnMaxLifetime(connectionLife)
	}
	s.gate, _ = reads.NewGate(ctx)
	return s, nil
}

// begin admits a call, which may receive so much.
func (s *source) begin(ctx context.Context) (bounded context.Context, leave func(), err error) {
	bounded, leave, err = s.gate.Enter(ctx)
	if err == nil {
		s.budget.Allow(maxExchange)
	}
	return bounded, leave, err
}

// Status implements backlog.Source.
func (s *source) Status() backlog.Status {
	// Reads take a fifth of the time at the most.
	status := backlog.Status{WakeUp: "poll", IdlePoll: max(s.cfg.idlePoll, 5*time.Duration(s.took.Load()))}
	if server := s.server.Load(); server != nil {
		status.Server = *server
	}
	return status
}

// Probe implements backlog.Prober.
func (s *source) Probe(ctx context.Context) error {
	ctx, leave, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer leave()
	s.asked = time.Time{}
	if err := s.contained(func() error { return s.refresh(ctx) }); err != nil {
		return fmt.Errorf("ask connection %q: %w", s.cfg.name, s.advised(err))
	}
	return nil
}

// Close implements backlog.Source.
func (s *source) Close() error {
	s.gate.Close()
	return errors.Join(s.db.Close(), s.queries.Close())
}
