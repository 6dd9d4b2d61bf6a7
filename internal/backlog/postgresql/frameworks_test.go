package postgresql_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/postgresql/postgresqltest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
)

// A framework is how jobs move in its tables, as statements whose argument is the queue. Its library
// is driven in the tests of the package layout; here it matters how the engine reads the tables.
type framework struct {
	layout string
	// schema makes the tables.
	schema func(testing.TB) string
	// add makes a job ready, take hands one out, and ack finishes one that was handed out.
	add, take, ack string
	// hears is a statement that notifies of another queue, as its clients do all the time.
	hears string
	// emptyExists reports whether a queue that is empty is known.
	emptyExists bool
}

// names numbers the queues of all tests, so that none is used twice.
var names atomic.Int64

// start makes the tables and returns the case of the suite.
func (f framework) start(t *testing.T, database *postgresqltest.Database) backlogtest.Case {
	t.Helper()
	database.Run(t, f.schema(t))
	if f.hears != "" {
		notifyAlways(t, database, f.hears)
	}
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

// notifyAlways runs a statement again and again until the test ends.
func notifyAlways(t *testing.T, database *postgresqltest.Database, statement string) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	ended := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		ticker := time.NewTicker(20 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-ended:
				return
			case <-ticker.C:
				if err := database.Try(ctx, statement); err != nil {
					t.Errorf("%s: %v", statement, err)
				}
			}
		}
	}()
	t.Cleanup(func() {
		close(ended)
		<-stopped
	})
}

// file returns a file of the repository or of an installed framework.
func file(pattern func(testing.TB) string) func(testing.TB) string {
	return func(t testing.TB) string {
		t.Helper()
		paths, err := filepath.Glob(pattern(t))
		if err != nil || len(paths) != 1 {
			t.Fatalf("find %s: %v %v", pattern(t), paths, err)
		}
		text, err := os.ReadFile(paths[0])
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
}

// ownSchema returns the tables of a framework as testdata has them.
func ownSchema(name string) func(testing.TB) string {
	return file(func(testing.TB) string { return filepath.Join("layout", "testdata", "schemas", name+".sql") })
}

// databaseNotifies are the frameworks whose database notifies.
func databaseNotifies() []framework {
	return []framework{
		{
			layout: "procrastinate",
			schema: file(func(t testing.TB) string {
				t.Helper()
				return layouttest.Installed(t, "procrastinate", "venv") + "/lib/python3*/site-packages/procrastinate/sql/schema.sql"
			}),
			add: "INSERT INTO procrastinate_jobs (queue_name, task_name) VALUES ('QUEUE', 'task')",
			take: `UPDATE procrastinate_jobs SET status = 'doing' WHERE id = (SELECT min(id) FROM procrastinate_jobs
				WHERE queue_name = 'QUEUE' AND status = 'todo')`,
			ack: `DELETE FROM procrastinate_jobs WHERE id = (SELECT min(id) FROM procrastinate_jobs
				WHERE queue_name = 'QUEUE' AND status = 'doing')`,
		},
		{
			layout: "bullmqPg",
			schema: ownSchema("bullmq"),
			add: `SELECT pg_notify('bullmq_jobs', 'QUEUE');
				INSERT INTO bullmq.job (queue, id, seq, name, state, added_at_ms) SELECT 'QUEUE', n, n, 'job', 'waiting', EXTRACT(EPOCH FROM now()) * 1000 FROM nextval('bullmq.job_seq') n`,
			take: "UPDATE bullmq.job SET state = 'active' WHERE id = (SELECT min(id) FROM bullmq.job WHERE queue = 'QUEUE' AND state = 'waiting')",
			ack:  "DELETE FROM bullmq.job WHERE id = (SELECT min(id) FROM bullmq.job WHERE queue = 'QUEUE' AND state = 'active')",
		},
	}
}

// clientsNotify are the frameworks whose clients notify.
func clientsNotify() []framework {
	return []framework{
		{
			layout: "oban",
			schema: ownSchema("oban"),
			add:    `INSERT INTO oban_jobs (queue, worker, args) VALUES ('QUEUE', 'w', '{}'); SELECT pg_notify('public.oban_insert', '{"queue":"QUEUE"}')`,
			take:   "UPDATE oban_jobs SET state = 'executing' WHERE id = (SELECT min(id) FROM oban_jobs WHERE queue = 'QUEUE' AND state = 'available')",
			ack:    "UPDATE oban_jobs SET state = 'completed' WHERE id = (SELECT min(id) FROM oban_jobs WHERE queue = 'QUEUE' AND state = 'executing')",
			hears:  `SELECT pg_notify('public.oban_insert', '{"queue":"another"}')`,
		},
		{
			layout: "goodJob",
			schema: ownSchema("goodjob"),
			add: `INSERT INTO good_jobs (queue_name, scheduled_at, created_at, updated_at) VALUES ('QUEUE', now() AT TIME ZONE 'utc', now() AT TIME ZONE 'utc', now() AT TIME ZONE 'utc');
				SELECT pg_notify('good_job', '{"queue_name":"QUEUE"}')`,
			take: "UPDATE good_jobs SET performed_at = now() AT TIME ZONE 'utc' WHERE id = (SELECT id FROM good_jobs WHERE queue_name = 'QUEUE' AND performed_at IS NULL LIMIT 1)",
			ack: `UPDATE good_jobs SET finished_at = now() AT TIME ZONE 'utc' WHERE id = (SELECT id FROM good_jobs
				WHERE queue_name = 'QUEUE' AND performed_at IS NOT NULL AND finished_at IS NULL LIMIT 1)`,
			hears: `SELECT pg_notify('good_job', '{"queue_name":"another"}')`,
		},
	}
}

// silent are the frameworks that are polled.
func silent() []framework {
	return []framework{
		{
			layout:      "solidQueue",
			schema:      ownSchema("solidqueue"),
			emptyExists: true,
			add: `WITH j AS (INSERT INTO solid_queue_jobs (queue_name, class_name, created_at, updated_at) VALUES ('QUEUE', 'c', now() AT TIME ZONE 'utc', now() AT TIME ZONE 'utc') RETURNING id)
				INSERT INTO solid_queue_ready_executions (job_id, queue_name, created_at) SELECT id, 'QUEUE', now() AT TIME ZONE 'utc' FROM j`,
			take: `WITH e AS (DELETE FROM solid_queue_ready_executions WHERE id = (SELECT min(id) FROM solid_queue_ready_executions WHERE queue_name = 'QUEUE') RETURNING job_id)
				INSERT INTO solid_queue_claimed_executions (job_id, created_at) SELECT job_id, now() AT TIME ZONE 'utc' FROM e`,
			ack: `WITH e AS (DELETE FROM solid_queue_claimed_executions WHERE id = (SELECT min(e.id) FROM solid_queue_claimed_executions e JOIN solid_queue_jobs j ON j.id = e.job_id WHERE j.queue_name = 'QUEUE') RETURNING job_id)
				UPDATE solid_queue_jobs SET finished_at = now() AT TIME ZONE 'utc' WHERE id = (SELECT job_id FROM e)`,
		},
		{
			layout: "pgmq",
			schema: file(func(t testing.TB) string {
				t.Helper()
				return layouttest.Installed(t, "pgmq", "venv") + "/lib/python3*/site-packages/pgmq/sql/pgmq.sql"
			}),
			emptyExists: true,
			add:         `SELECT pgmq.create('QUEUE') WHERE NOT EXISTS (SELECT 1 FROM pgmq.meta WHERE queue_name = 'QUEUE'); SELECT pgmq.send('QUEUE', '{}')`,
			take:        "SELECT * FROM pgmq.read('QUEUE', 600, 1)",
			ack:         "SELECT pgmq.delete('QUEUE', (SELECT min(msg_id) FROM pgmq.q_QUEUE WHERE vt > now()))",
		},
	}
}
