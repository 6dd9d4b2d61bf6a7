package e2e_test

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/e2e/scaler"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/mysql/mysqltest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/postgresql/postgresqltest"
)

// postgreSQLTable is the table of an application that notifies when it adds jobs, and a user who may read it.
const postgreSQLTable = `
CREATE TABLE jobs (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, queue text NOT NULL);
CREATE INDEX ON jobs (queue);
CREATE FUNCTION notify_jobs() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_notify('jobs', ''); RETURN NULL; END $$;
CREATE TRIGGER notify_jobs AFTER INSERT ON jobs FOR EACH STATEMENT EXECUTE FUNCTION notify_jobs();
CREATE ROLE scaler LOGIN;
GRANT SELECT ON jobs TO scaler;
`

// startPostgreSQL starts a server that is frozen in its outage. Both triggers run the same query, with the rights to read alone.
func startPostgreSQL(t *testing.T) *broker {
	t.Helper()
	server := postgresqltest.Start(t, postgresqltest.Versions(t)[0])
	database := server.Database(t)
	database.Run(t, postgreSQLTable)
	query := func(queue string) string { return "SELECT count(*) FROM jobs WHERE queue = '" + queue + "'" }
	return &broker{
		connection: scaler.Connection{
			Engine: "postgresql", Namespaces: []string{"*"}, Addresses: []string{server.Addr()}, Database: database.Name, Username: "scaler",
			AllowQueries: true,
		},
		ours: func(queue string) map[string]string {
			return map[string]string{"query": query(queue), "channel": "jobs"}
		},
		theirs: func(queue string) map[string]string {
			host, port := split(t, server.Addr())
			return map[string]string{
				"host": host, "port": port, "userName": "scaler", "dbName": database.Name, "sslmode": "disable",
				"query": query(queue), "targetQueryValue": "5",
			}
		},
		create: func(*testing.T, string) {}, // a queue is what has the same text in a column
		write: func(t *testing.T, queue string, n int) {
			t.Helper()
			database.Exec(t, "INSERT INTO jobs (queue) SELECT $1 FROM generate_series(1, $2::int)", queue, n)
		},
		drain: func(t *testing.T, queue string) {
			t.Helper()
			database.Exec(t, "DELETE FROM jobs WHERE queue = $1", queue)
		},
		take:     func(t *testing.T) { t.Helper(); server.Freeze(t) },
		giveBack: func(t *testing.T) { t.Helper(); server.Thaw(t) },
		most:     6,
	}
}

// laravelTable is the table of Laravel's database driver, and a user who may read it:
// https://github.com/laravel/framework/blob/12.x/src/Illuminate/Queue/Console/stubs/jobs.stub
const laravelTable = `
CREATE TABLE jobs (
	id bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY, queue varchar(255) NOT NULL, payload longtext NOT NULL,
	attempts tinyint unsigned NOT NULL, reserved_at int unsigned NULL, available_at int unsigned NOT NULL,
	created_at int unsigned NOT NULL, KEY jobs_queue_index (queue)
);
CREATE USER scaler;
GRANT SELECT ON jobs TO scaler;
`

// startMySQL starts a MariaDB that is killed in its outage, with jobs of Laravel. Nothing notifies of them.
func startMySQL(t *testing.T) *broker {
	t.Helper()
	server := mysqltest.Start(t)
	database := server.Database(t)
	database.Run(t, laravelTable)
	return &broker{
		connection: scaler.Connection{
			Engine: "mysql", Namespaces: []string{"*"}, Address: server.Addr(), Database: database.Name, Username: "scaler",
		},
		ours: func(queue string) map[string]string { return map[string]string{"laravel": queue} },
		theirs: func(queue string) map[string]string {
			host, port := split(t, server.Addr())
			return map[string]string{
				"host": host, "port": port, "username": "scaler", "dbName": database.Name,
				"query": "SELECT COUNT(*) FROM jobs WHERE queue = '" + queue + "'", "queryValue": "5",
			}
		},
		create: func(*testing.T, string) {}, // a queue is what has the same text in a column
		write: func(t *testing.T, queue string, n int) {
			t.Helper()
			job := fmt.Sprintf("('%s', '{}', 0, UNIX_TIMESTAMP(), UNIX_TIMESTAMP())", queue)
			database.Run(t, "INSERT INTO jobs (queue, payload, attempts, available_at, created_at) VALUES "+job+strings.Repeat(", "+job, n-1))
		},
		drain: func(t *testing.T, queue string) {
			t.Helper()
			database.Run(t, "DELETE FROM jobs WHERE queue = ?", queue)
		},
		take:     func(t *testing.T) { t.Helper(); server.Kill() },
		giveBack: func(t *testing.T) { t.Helper(); server.Restart(t) },
		most:     6,
	}
}

// split parts an address into host and port.
func split(t *testing.T, address string) (host, port string) {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	check(t, err)
	return host, port
}
