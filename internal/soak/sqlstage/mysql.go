package sqlstage

import (
	"fmt"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/mysql/mysqltest"
	"github.com/backlog-scaler/backlog-scaler/internal/soak/stage"
)

// MySQL is one MariaDB.
func MySQL() stage.Topology {
	const name = "mysql"
	return stage.Topology{
		Shape:  shape(name, mysqlLayouts()),
		Reopen: "dialTimeout: 2100ms",
		Start: func(t testing.TB, _ uint64) stage.Broker {
			t.Helper()
			server := mysqltest.Start(t)
			d := server.Database(t)
			b := &broker{
				name: name, title: "MariaDB", server: server, reconnect: func() {}, database: d,
				proxy: backlogtest.NewProxy(t, server.Addr()), dialect: mysqlDialect(d.Name),
			}
			b.settings = map[string][]string{name: {
				"engine: mysql", "namespaces: ['*']", "address: '" + b.proxy.Addr() + "'",
				"database: " + d.Name, "username: " + scalerUser, "allowQueries: true",
			}}
			b.must(t, "CREATE USER "+scalerUser)
			b.add(t, mysqlLayouts())
			return b
		},
	}
}

func mysqlDialect(database string) dialect {
	grant := func(verb, to string) string {
		return fmt.Sprintf("%s SELECT ON %s.* %s %s", verb, database, to, scalerUser)
	}
	return dialect{
		grant: grant("GRANT", "TO"), revoke: grant("REVOKE", "FROM"),
		lock:   "ALTER USER " + scalerUser + " ACCOUNT LOCK",
		unlock: "ALTER USER " + scalerUser + " ACCOUNT UNLOCK",
		kill:   "KILL USER " + scalerUser,
	}
}

func mysqlLayouts() []layout {
	all := []layout{
		{
			name: "laravel", metadata: map[string]string{"laravel": "jobs"},
			tables: []string{"CREATE TABLE jobs (id bigint unsigned AUTO_INCREMENT PRIMARY KEY, queue varchar(255) NOT NULL, payload longtext NOT NULL, attempts tinyint unsigned NOT NULL, reserved_at int unsigned, available_at int unsigned NOT NULL, created_at int unsigned NOT NULL, KEY jobs_queue_index (queue))"},
			add:    "INSERT INTO jobs (queue, payload, attempts, available_at, created_at) VALUES ('jobs', '{}', 0, UNIX_TIMESTAMP(), UNIX_TIMESTAMP())",
			take:   "UPDATE jobs SET reserved_at = UNIX_TIMESTAMP(), attempts = 1 WHERE reserved_at IS NULL ORDER BY id LIMIT 1",
			finish: "DELETE FROM jobs WHERE reserved_at IS NOT NULL ORDER BY id LIMIT 1",
			empty:  "DELETE FROM jobs",
		},
		{
			name: "delayedJob", metadata: map[string]string{"delayedJob": "jobs"},
			tables: []string{"CREATE TABLE delayed_jobs (id bigint AUTO_INCREMENT PRIMARY KEY, priority int NOT NULL DEFAULT 0, attempts int NOT NULL DEFAULT 0, handler text NOT NULL, last_error text, run_at datetime(6), locked_at datetime(6), failed_at datetime(6), locked_by varchar(255), queue varchar(255), created_at datetime(6), updated_at datetime(6), KEY delayed_jobs_priority (priority, run_at))"},
			add:    "INSERT INTO delayed_jobs (handler, queue, run_at) VALUES ('', 'jobs', UTC_TIMESTAMP(6))",
			take:   "UPDATE delayed_jobs SET locked_at = UTC_TIMESTAMP(6) WHERE locked_at IS NULL ORDER BY id LIMIT 1",
			finish: "DELETE FROM delayed_jobs WHERE locked_at IS NOT NULL ORDER BY id LIMIT 1",
			empty:  "DELETE FROM delayed_jobs",
		},
		{
			name: "own", metadata: map[string]string{"query": "SELECT COUNT(*) - COUNT(NULLIF(taken, false)) AS ready, COUNT(NULLIF(taken, false)) AS in_flight FROM tickets"},
			tables: []string{"CREATE TABLE tickets (id bigint AUTO_INCREMENT PRIMARY KEY, taken boolean NOT NULL DEFAULT false)"},
			add:    "INSERT INTO tickets VALUES ()",
			take:   "UPDATE tickets SET taken = true WHERE NOT taken ORDER BY id LIMIT 1",
			finish: "DELETE FROM tickets WHERE taken ORDER BY id LIMIT 1",
			empty:  "DELETE FROM tickets",
		},
	}
	for i := range all {
		all[i].late = idlePoll
	}
	return all
}
