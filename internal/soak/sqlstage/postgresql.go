package sqlstage

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/postgresql/postgresqltest"
	"github.com/backlog-scaler/backlog-scaler/internal/soak/stage"
)

// PostgreSQL is one server, with a connection for each way to notice changes.
func PostgreSQL() stage.Topology {
	const name = "postgresql"
	return stage.Topology{
		Shape:  shape(name, postgresLayouts()),
		Reopen: "applicationName: backlog-scaler-reopened",
		Start: func(t testing.TB, seed uint64) stage.Broker {
			t.Helper()
			versions := postgresqltest.Versions(t)
			version := versions[seed%uint64(len(versions))]
			server := postgresqltest.Start(t, version)
			database := server.Database(t)
			b := &broker{
				name: name, title: version.Name, server: server, reconnect: database.Reconnect,
				database: database, proxy: backlogtest.NewProxy(t, server.Addr()), dialect: postgresDialect(),
			}
			lines := []string{
				"engine: postgresql", "namespaces: ['*']", "addresses: ['" + b.proxy.Addr() + "']",
				"database: " + database.Name, "username: " + scalerUser, "allowQueries: true",
			}
			b.settings = map[string][]string{name: lines, name + "-poll": append(slices.Clip(lines), "wakeUp: poll")}
			b.must(t, schema(t, "oban")+schema(t, "bullmq")+schema(t, "solidqueue")+"CREATE ROLE "+scalerUser+" LOGIN")
			b.add(t, postgresLayouts())
			for i, l := range postgresLayouts() {
				b.queues = append(b.queues, b.staged(l, b.ledgers[i], name+"-poll", idlePoll))
			}
			return b
		},
	}
}

// schema returns the tables of a framework, as the tests of the engine have them.
func schema(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "backlog", "postgresql", "layout", "testdata", "schemas", name+".sql"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text) + ";"
}

func postgresDialect() dialect {
	const tables = "SELECT ON ALL TABLES IN SCHEMA public, bullmq"
	return dialect{
		grant:  "GRANT USAGE ON SCHEMA public, bullmq TO " + scalerUser + "; GRANT " + tables + " TO " + scalerUser,
		revoke: "REVOKE " + tables + " FROM " + scalerUser,
		lock:   "ALTER ROLE " + scalerUser + " NOLOGIN",
		unlock: "ALTER ROLE " + scalerUser + " LOGIN",
		kill:   "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '" + scalerUser + "'",
	}
}

// postgresLayouts are frameworks whose database notifies, whose clients do, and that are polled, and
// the SQL of an application.
func postgresLayouts() []layout {
	return []layout{
		{
			name: "bullmqPg", metadata: map[string]string{"bullmqPg": "jobs"},
			add: `SELECT pg_notify('bullmq_jobs', 'jobs');
				INSERT INTO bullmq.job (queue, id, seq, name, state, added_at_ms) SELECT 'jobs', n, n, 'job', 'waiting', EXTRACT(EPOCH FROM now()) * 1000 FROM nextval('bullmq.job_seq') n`,
			take:   "UPDATE bullmq.job SET state = 'active' WHERE seq = (SELECT min(seq) FROM bullmq.job WHERE state = 'waiting')",
			finish: "DELETE FROM bullmq.job WHERE seq = (SELECT min(seq) FROM bullmq.job WHERE state = 'active')",
			empty:  "DELETE FROM bullmq.job",
		},
		{
			name: "oban", metadata: map[string]string{"oban": "jobs"},
			add:    "INSERT INTO oban_jobs (queue, worker, args) VALUES ('jobs', 'w', '{}')",
			notify: `SELECT pg_notify('public.oban_insert', '{"queue":"jobs"}')`,
			take:   "UPDATE oban_jobs SET state = 'executing' WHERE id = (SELECT min(id) FROM oban_jobs WHERE state = 'available')",
			finish: "UPDATE oban_jobs SET state = 'completed' WHERE id = (SELECT min(id) FROM oban_jobs WHERE state = 'executing')",
			empty:  "UPDATE oban_jobs SET state = 'cancelled' WHERE state IN ('available', 'executing')",
		},
		{
			name: "solidQueue", metadata: map[string]string{"solidQueue": "jobs"}, late: idlePoll,
			add: `WITH j AS (INSERT INTO solid_queue_jobs (queue_name, class_name, created_at, updated_at) VALUES ('jobs', 'c', now() AT TIME ZONE 'utc', now() AT TIME ZONE 'utc') RETURNING id)
				INSERT INTO solid_queue_ready_executions (job_id, queue_name, created_at) SELECT id, 'jobs', now() AT TIME ZONE 'utc' FROM j`,
			take: `WITH e AS (DELETE FROM solid_queue_ready_executions WHERE id = (SELECT min(id) FROM solid_queue_ready_executions) RETURNING job_id)
				INSERT INTO solid_queue_claimed_executions (job_id, created_at) SELECT job_id, now() AT TIME ZONE 'utc' FROM e`,
			finish: `WITH e AS (DELETE FROM solid_queue_claimed_executions WHERE id = (SELECT min(id) FROM solid_queue_claimed_executions) RETURNING job_id)
				UPDATE solid_queue_jobs SET finished_at = now() AT TIME ZONE 'utc' WHERE id = (SELECT job_id FROM e)`,
			empty: "DELETE FROM solid_queue_ready_executions; DELETE FROM solid_queue_claimed_executions; DELETE FROM solid_queue_jobs",
		},
		{
			name: "own", metadata: map[string]string{"query": "SELECT count(*) FILTER (WHERE NOT taken) AS ready, count(*) FILTER (WHERE taken) AS in_flight FROM tickets", "channel": "tickets"},
			tables: []string{"CREATE TABLE tickets (id bigserial PRIMARY KEY, taken boolean NOT NULL DEFAULT false)"},
			add:    "INSERT INTO tickets DEFAULT VALUES", notify: "NOTIFY tickets",
			take:   "UPDATE tickets SET taken = true WHERE id = (SELECT min(id) FROM tickets WHERE NOT taken)",
			finish: "DELETE FROM tickets WHERE id = (SELECT min(id) FROM tickets WHERE taken)",
			empty:  "DELETE FROM tickets",
		},
	}
}
