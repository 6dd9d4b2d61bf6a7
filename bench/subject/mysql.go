package subject

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-sql-driver/mysql"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/mysql/mysqltest"
)

const (
	laravelDatabase = "laravel"
	// laravelTable is that of laravel/framework 13 (jobs.stub).
	laravelTable = `CREATE TABLE jobs (id bigint unsigned AUTO_INCREMENT PRIMARY KEY, queue varchar(255) NOT NULL, payload longtext NOT NULL,
		attempts tinyint unsigned NOT NULL, reserved_at int unsigned, available_at int unsigned NOT NULL, created_at int unsigned NOT NULL,
		KEY jobs_queue_index (queue))`
	laravelAdd   = `INSERT INTO jobs (queue, payload, attempts, available_at, created_at) VALUES (?, '{}', 0, UNIX_TIMESTAMP(), UNIX_TIMESTAMP())`
	laravelCount = `SELECT ?, COUNT(CASE WHEN reserved_at IS NULL AND available_at <= UNIX_TIMESTAMP() THEN 1 END), COUNT(reserved_at) FROM jobs WHERE queue = ?`
)

// MySQL measures the engine of that name, on MariaDB, with queues of Laravel in one table. The server notifies of
// nothing: the producer gives a hint, POST /wake. The bare client, go-sql-driver, counts the jobs that are ready and
// reserved in one statement, a UNION of one part for each queue.
func MySQL(ctx context.Context, programs Programs) (Result, error) {
	return measureEngine(ctx, programs, (*stage).mysql)
}

func (s *stage) mysql(ctx context.Context) (*queueServer, error) {
	server, err := mysqltest.Launch(ctx)
	if err != nil {
		return nil, err
	}
	s.endings = append(s.endings, func() error { server.Close(); return nil })
	far, err := s.distance()
	if err != nil {
		return nil, err
	}
	root, err := s.mysqlClient(server.Addr(), "")
	if err != nil {
		return nil, err
	}
	db, err := s.mysqlClient(server.Addr(), laravelDatabase)
	if err != nil {
		return nil, err
	}
	queues := teamQueues()
	write := func(ctx context.Context, i int) error {
		_, err := db.ExecContext(ctx, laravelAdd, queues[i])
		return err
	}
	_, created := root.ExecContext(ctx, "CREATE DATABASE "+laravelDatabase+" CHARACTER SET utf8mb4")
	_, filled := db.ExecContext(ctx, laravelTable)
	if err := errors.Join(created, filled); err != nil {
		return nil, fmt.Errorf("make queues of Laravel: %w", err)
	}
	for i := range engineBusy {
		if err := write(ctx, i); err != nil {
			return nil, fmt.Errorf("make queues of Laravel: %w", err)
		}
	}
	return &queueServer{
		engine: "mysql", address: server.Addr(), brokers: []string{server.Addr()}, far: far.To(server.Addr()),
		settings: func(address string) []string {
			return []string{fmt.Sprintf("address: %q", address), "database: " + laravelDatabase, "username: root"}
		},
		layout: "laravel", queues: queues, parameters: none,
		bare: func(_ context.Context, address string) (func(context.Context) error, error) {
			db, err := s.mysqlClient(address, laravelDatabase)
			return func(ctx context.Context) error { return readMySQL(ctx, db, queues) }, err
		},
		write:   write,
		limits:  engineLimits{rate: 0.08, trips: 12, p50: 25, p99: 1000},
		notices: "a hint", hinted: true,
	}, nil
}

// mysqlClient is the bare client, with one connection.
func (s *stage) mysqlClient(address, database string) (*sql.DB, error) {
	config := mysql.NewConfig()
	config.User, config.Net, config.Addr, config.DBName, config.InterpolateParams = "root", "tcp", address, database, true
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, fmt.Errorf("connect to MariaDB: %w", err)
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(1)
	s.endings = append(s.endings, db.Close)
	return db, nil
}

// readMySQL counts the jobs of all queues.
func readMySQL(ctx context.Context, db *sql.DB, queues []string) (err error) {
	parts := slices.Repeat([]string{laravelCount}, len(queues))
	var names []any
	for _, queue := range queues {
		names = append(names, queue, queue)
	}
	rows, err := db.QueryContext(ctx, strings.Join(parts, "\nUNION ALL\n"), names...)
	if err != nil {
		return fmt.Errorf("count jobs: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var queue string
	var ready, reserved int64
	for rows.Next() {
		if err := rows.Scan(&queue, &ready, &reserved); err != nil {
			return fmt.Errorf("count jobs: %w", err)
		}
	}
	return rows.Err()
}
