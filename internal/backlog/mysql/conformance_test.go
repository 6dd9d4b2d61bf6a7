package mysql_test

import (
	"fmt"
	"maps"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/mysql"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/mysql/mysqltest"
)

// names numbers the queues of all tests, so that none is used twice.
var names atomic.Int64

// A framework is how jobs move in its tables, as statements. Laravel's library is driven in the tests of
// the package layout.
type framework struct {
	layout, schema string
	// add makes a job ready, take hands one out, and ack finishes one that was handed out.
	add, take, ack string
	// emptyExists reports whether a queue that is empty is known.
	emptyExists bool
}

// frameworks are those of the layouts. The tables have the columns of their published schemas that are
// read: laravel/framework 13 (jobs.stub), Solid Queue 1.2 (queue_schema.rb), and
// delayed_job_active_record 4.1 (migration.rb).
func frameworks() []framework {
	return []framework{
		{
			layout: "laravel",
			schema: "CREATE TABLE jobs (id bigint unsigned AUTO_INCREMENT PRIMARY KEY, queue varchar(255) NOT NULL, payload longtext NOT NULL, attempts tinyint unsigned NOT NULL, reserved_at int unsigned, available_at int unsigned NOT NULL, created_at int unsigned NOT NULL, KEY jobs_queue_index (queue))",
			add:    "INSERT INTO jobs (queue, payload, attempts, available_at, created_at) VALUES ('QUEUE', '{}', 0, UNIX_TIMESTAMP(), UNIX_TIMESTAMP())",
			take:   "UPDATE jobs SET reserved_at = UNIX_TIMESTAMP(), attempts = 1 WHERE queue = 'QUEUE' AND reserved_at IS NULL LIMIT 1",
			ack:    "DELETE FROM jobs WHERE queue = 'QUEUE' AND reserved_at IS NOT NULL LIMIT 1",
		},
		{
			layout: "solidQueue",
			schema: `CREATE TABLE solid_queue_jobs (id bigint AUTO_INCREMENT PRIMARY KEY, queue_name varchar(255) NOT NULL, class_name varchar(255) NOT NULL, finished_at datetime(6), created_at datetime(6) NOT NULL, updated_at datetime(6) NOT NULL, KEY f (queue_name, finished_at));
				CREATE TABLE solid_queue_ready_executions (id bigint AUTO_INCREMENT PRIMARY KEY, job_id bigint NOT NULL, queue_name varchar(255) NOT NULL, priority int NOT NULL DEFAULT 0, created_at datetime(6) NOT NULL, KEY p (queue_name, priority, job_id));
				CREATE TABLE solid_queue_scheduled_executions (id bigint AUTO_INCREMENT PRIMARY KEY, job_id bigint NOT NULL, queue_name varchar(255) NOT NULL, priority int NOT NULL DEFAULT 0, scheduled_at datetime(6) NOT NULL, created_at datetime(6) NOT NULL, KEY d (scheduled_at, priority, job_id));
				CREATE TABLE solid_queue_claimed_executions (id bigint AUTO_INCREMENT PRIMARY KEY, job_id bigint NOT NULL UNIQUE, process_id bigint, created_at datetime(6) NOT NULL);
				CREATE TABLE solid_queue_pauses (id bigint AUTO_INCREMENT PRIMARY KEY, queue_name varchar(255) NOT NULL UNIQUE, created_at datetime(6) NOT NULL)`,
			emptyExists: true,
			add: `INSERT INTO solid_queue_jobs (queue_name, class_name, created_at, updated_at) VALUES ('QUEUE', 'c', UTC_TIMESTAMP(6), UTC_TIMESTAMP(6));
				INSERT INTO solid_queue_ready_executions (job_id, queue_name, created_at) VALUES (LAST_INSERT_ID(), 'QUEUE', UTC_TIMESTAMP(6))`,
			take: `INSERT INTO solid_queue_claimed_executions (job_id, created_at) SELECT MIN(job_id), UTC_TIMESTAMP(6) FROM solid_queue_ready_executions WHERE queue_name = 'QUEUE';
				DELETE FROM solid_queue_ready_executions WHERE queue_name = 'QUEUE' ORDER BY job_id LIMIT 1`,
			ack: "DELETE e FROM solid_queue_claimed_executions e WHERE e.job_id = (SELECT * FROM (SELECT MIN(c.job_id) FROM solid_queue_claimed_executions c JOIN solid_queue_jobs j ON j.id = c.job_id WHERE j.queue_name = 'QUEUE') o)",
		},
		{
			layout: "delayedJob",
			schema: "CREATE TABLE delayed_jobs (id bigint AUTO_INCREMENT PRIMARY KEY, priority int NOT NULL DEFAULT 0, attempts int NOT NULL DEFAULT 0, handler text NOT NULL, last_error text, run_at datetime(6), locked_at datetime(6), failed_at datetime(6), locked_by varchar(255), queue varchar(255), created_at datetime(6), updated_at datetime(6), KEY delayed_jobs_priority (priority, run_at))",
			add:    "INSERT INTO delayed_jobs (handler, queue, run_at) VALUES ('', 'QUEUE', UTC_TIMESTAMP(6))",
			take:   "UPDATE delayed_jobs SET locked_at = UTC_TIMESTAMP(6) WHERE queue = 'QUEUE' AND locked_at IS NULL LIMIT 1",
			ack:    "DELETE FROM delayed_jobs WHERE queue = 'QUEUE' AND locked_at IS NOT NULL LIMIT 1",
		},
	}
}

// start makes the tables and returns the case of the suite.
func (f framework) start(t *testing.T, database *mysqltest.Database) backlogtest.Case {
	t.Helper()
	database.Run(t, f.schema)
	run := func(statement string) func(testing.TB, backlog.Query, int) {
		return func(t testing.TB, q backlog.Query, n int) {
			t.Helper()
			for range n {
				database.Run(t, strings.ReplaceAll(statement, "QUEUE", q.Queue))
			}
		}
	}
	return backlogtest.Case{
		Name: f.layout,
		Query: func(testing.TB) backlog.Query {
			return backlog.Query{Layout: f.layout, Queue: fmt.Sprintf("queue_%d", names.Add(1))}
		},
		Add: run(f.add), Take: run(f.take), Ack: run(f.ack), EmptyExists: f.emptyExists,
	}
}

// connection returns a connection to a database, as root.
func connection(database *mysqltest.Database, more map[string]any) backlog.Connection {
	settings := map[string]any{"address": database.Server.Addr(), "database": database.Name, "username": "root"}
	maps.Copy(settings, more)
	return backlog.Connection{Name: "jobs", Engine: "mysql", Settings: backlog.NewSettings(settings)}
}

// TestServer runs what needs no server of its own, on one server.
func TestServer(t *testing.T) {
	t.Parallel()
	server := mysqltest.Start(t)
	for name, test := range map[string]func(*testing.T, *mysqltest.Server){
		"conformance":     conformance,
		"user queries":    userQueries,
		"slow queries":    slowQueries,
		"time zones":      timeZones,
		"missing":         missing,
		"hostile names":   hostileNames,
		"character sets":  characterSets,
		"caps":            caps,
		"unnamed queues":  unnamedQueues,
		"diagnosis":       diagnosis,
		"few connections": fewConnections,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, server)
		})
	}
}

// conformance holds the engine to the suite.
func conformance(t *testing.T, server *mysqltest.Server) {
	t.Helper()
	database := server.Database(t)
	h := backlogtest.Harness{
		Engine:  mysql.Engine(),
		Address: server.Addr(),
		Connection: func(address string) backlog.Connection {
			return connection(database, map[string]any{"address": address, "dialTimeout": time.Minute, "statementTimeout": time.Minute})
		},
	}
	for _, f := range frameworks() {
		h.Cases = append(h.Cases, f.start(t, database))
	}
	backlogtest.Exercise(t, h)
}
