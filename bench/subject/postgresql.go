package subject

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/postgresql/postgresqltest"
)

// bullmqTables are those of BullMQ 6.7.0 (src/postgres/migrations/0001_schema.sql): the columns that are read. Each
// queue has ten jobs that are done.
const bullmqTables = `
CREATE SCHEMA bullmq;
CREATE TYPE bullmq.job_state AS ENUM ('waiting', 'active', 'completed', 'failed', 'delayed', 'waiting-children');
CREATE SEQUENCE bullmq.job_seq;
CREATE TABLE bullmq.meta (queue text NOT NULL, field text NOT NULL, value text, PRIMARY KEY (queue, field));
CREATE TABLE bullmq.job (
	queue text NOT NULL, id text NOT NULL, seq bigint NOT NULL, name text NOT NULL, state bullmq.job_state NOT NULL,
	priority integer NOT NULL DEFAULT 0, added_at_ms bigint NOT NULL, process_at_ms bigint, locked_until_ms bigint,
	PRIMARY KEY (queue, id)
);
CREATE INDEX job_ready_idx ON bullmq.job (queue, priority, seq) WHERE state = 'waiting';
CREATE INDEX job_delayed_idx ON bullmq.job (queue, process_at_ms) WHERE state = 'delayed';
CREATE INDEX job_active_idx ON bullmq.job (queue, locked_until_ms) WHERE state = 'active';`

const (
	bullmqDone = `INSERT INTO bullmq.job (queue, id, seq, name, state, added_at_ms)
		SELECT queue, 'done-' || n, -n, 'job', 'completed', 0 FROM unnest($1::text[]) queue, generate_series(1, 10) n`
	// bullmqAdd adds a job and notifies of it, as the client does in one transaction.
	bullmqAdd = `WITH added AS (INSERT INTO bullmq.job (queue, id, seq, name, state, added_at_ms)
		SELECT $1, n, n, 'job', 'waiting', EXTRACT(EPOCH FROM now()) * 1000 FROM nextval('bullmq.job_seq') n RETURNING queue)
		SELECT pg_notify('bullmq_jobs', queue) FROM added`
	bullmqCount = `SELECT queue, count(*) FILTER (WHERE state = 'waiting'), count(*) FILTER (WHERE state = 'active')
		FROM bullmq.job WHERE queue = ANY($1) AND state IN ('waiting', 'active') GROUP BY queue`
)

// PostgreSQL measures the engine of that name, with queues of BullMQ in one table. Changes are noticed by its
// notifications. The bare client, pgx, counts the waiting and the active jobs of all queues in one statement.
func PostgreSQL(ctx context.Context, programs Programs) (Result, error) {
	return measureEngine(ctx, programs, (*stage).postgresql)
}

func (s *stage) postgresql(ctx context.Context) (*queueServer, error) {
	versions, _ := postgresqltest.Installed()
	if len(versions) == 0 {
		return nil, errors.New("find PostgreSQL: install it with hack/install-servers.sh")
	}
	server, err := postgresqltest.Launch(ctx, versions[len(versions)-1])
	if err != nil {
		return nil, err
	}
	s.endings = append(s.endings, func() error { server.Close(); return nil })
	far, err := s.distance()
	if err != nil {
		return nil, err
	}
	conn, err := s.postgresqlClient(ctx, server.Addr())
	if err != nil {
		return nil, err
	}
	queues := teamQueues()
	write := func(ctx context.Context, i int) error {
		_, err := conn.Exec(ctx, bullmqAdd, queues[i])
		return err
	}
	if err := fillPostgreSQL(ctx, conn, queues, write); err != nil {
		return nil, fmt.Errorf("make queues of BullMQ: %w", err)
	}
	return &queueServer{
		engine: "postgresql", address: server.Addr(), brokers: []string{server.Addr()}, far: far.To(server.Addr()),
		settings: func(address string) []string {
			return []string{fmt.Sprintf("addresses: [%q]", address), "database: postgres", "username: postgres"}
		},
		layout: "bullmqPg", queues: queues, parameters: none,
		bare: func(ctx context.Context, address string) (func(context.Context) error, error) {
			conn, err := s.postgresqlClient(ctx, address)
			return func(ctx context.Context) error { return readPostgreSQL(ctx, conn, queues) }, err
		},
		write:   write,
		limits:  engineLimits{rate: 0.1, trips: 2, p50: 50, p99: 500},
		notices: "listen",
	}, nil
}

// postgresqlClient is the bare client.
func (s *stage) postgresqlClient(ctx context.Context, address string) (*pgx.Conn, error) {
	conn, err := pgx.Connect(ctx, fmt.Sprintf("postgres://postgres@%s/postgres?sslmode=disable", address))
	if err != nil {
		return nil, fmt.Errorf("connect to PostgreSQL: %w", err)
	}
	s.endings = append(s.endings, func() error { return conn.Close(context.WithoutCancel(ctx)) })
	return conn, nil
}

// fillPostgreSQL makes the tables and the jobs.
func fillPostgreSQL(ctx context.Context, conn *pgx.Conn, queues []string, write func(context.Context, int) error) error {
	if _, err := conn.PgConn().Exec(ctx, bullmqTables).ReadAll(); err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, bullmqDone, queues); err != nil {
		return err
	}
	for i := range engineBusy {
		if err := write(ctx, i); err != nil {
			return err
		}
	}
	// The servers of tests have no autovacuum, which would do so.
	_, err := conn.Exec(ctx, "VACUUM ANALYZE bullmq.job")
	return err
}

// readPostgreSQL counts the jobs of all queues.
func readPostgreSQL(ctx context.Context, conn *pgx.Conn, queues []string) error {
	rows, err := conn.Query(ctx, bullmqCount, queues)
	if err != nil {
		return fmt.Errorf("count jobs: %w", err)
	}
	var queue string
	var waiting, active int64
	if _, err := pgx.ForEachRow(rows, []any{&queue, &waiting, &active}, func() error { return nil }); err != nil {
		return fmt.Errorf("count jobs: %w", err)
	}
	return nil
}
