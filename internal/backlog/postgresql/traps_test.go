package postgresql_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/postgresql"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/postgresql/postgresqltest"
)

func query(layout, queue string, params ...string) backlog.Query {
	values := map[string]string{}
	for i := 0; i+1 < len(params); i += 2 {
		values[params[i]] = params[i+1]
	}
	return backlog.Query{Layout: layout, Queue: queue, Params: backlog.NewParams(values)}
}

// timesWithoutZone: the times of Oban, GoodJob and Solid Queue are in UTC, whatever the time zone of
// the server, which is another one here. Delayed jobs are due at their time and not hours before or
// after, and NextDue is by the clock of the scaler.
func timesWithoutZone(t *testing.T, server *postgresqltest.Server) {
	t.Helper()
	database := server.Database(t)
	source := backlogtest.Open(t, postgresql.Engine(), connection(database, nil))
	for _, one := range []struct{ layout, schema, later, sooner string }{
		{
			"oban", "oban",
			"INSERT INTO oban_jobs (queue, worker, args, state, scheduled_at) VALUES ('q', 'w', '{}', 'scheduled', timezone('UTC', now()) + interval '10 minutes')",
			"INSERT INTO oban_jobs (queue, worker, args, state, scheduled_at) VALUES ('q', 'w', '{}', 'retryable', timezone('UTC', now()) - interval '10 minutes')",
		},
		{
			"goodJob", "goodjob",
			"INSERT INTO good_jobs (queue_name, scheduled_at, created_at, updated_at) VALUES ('q', timezone('UTC', now()) + interval '10 minutes', now(), now())",
			"INSERT INTO good_jobs (queue_name, scheduled_at, created_at, updated_at) VALUES ('q', timezone('UTC', now()) - interval '10 minutes', now(), now())",
		},
		{
			"solidQueue", "solidqueue",
			"INSERT INTO solid_queue_jobs (queue_name, class_name, created_at, updated_at) VALUES ('q', 'c', now(), now()); INSERT INTO solid_queue_scheduled_executions (job_id, queue_name, created_at, scheduled_at) VALUES (1, 'q', now(), timezone('UTC', now()) + interval '10 minutes')",
			"INSERT INTO solid_queue_scheduled_executions (job_id, queue_name, created_at, scheduled_at) VALUES (1, 'q', now(), timezone('UTC', now()) - interval '10 minutes')",
		},
	} {
		database.Run(t, ownSchema(one.schema)(t))
		database.Run(t, one.later)
		r := backlogtest.MustRead(t, source, query(one.layout, "q"))
		if left := time.Until(r.NextDue); r.Backlog() != 0 || left < 8*time.Minute || left > 11*time.Minute {
			t.Errorf("%s: a job in ten minutes: %+v, due in %s", one.layout, r, left)
		}
		database.Run(t, one.sooner)
		r = backlogtest.MustRead(t, source, query(one.layout, "q"))
		if age := time.Since(r.Oldest.Since); r.Ready+r.Due != 1 || age < 9*time.Minute || age > 12*time.Minute {
			t.Errorf("%s: a job that has been due for ten minutes: %+v, for %s", one.layout, r, age)
		}
	}
}

// missing: a queue that does not exist is Missing, a table or a schema an error.
func missing(t *testing.T, server *postgresqltest.Server) {
	t.Helper()
	database := server.Database(t)
	source := backlogtest.Open(t, postgresql.Engine(), connection(database, nil))
	for layout, schema := range map[string]string{"oban": "oban", "goodJob": "goodjob", "solidQueue": "solidqueue", "bullmqPg": "bullmq"} {
		r := backlogtest.Read(t, source, query(layout, "q"), query(layout, "q", "schema", "no_such"))
		for _, one := range r {
			if !errors.Is(one.Err, backlog.ErrMismatch) || !strings.Contains(one.Err.Error(), "change: schema: ") {
				t.Errorf("%s without its tables: %+v, want ErrMismatch with advice", layout, one)
			}
		}
		database.Run(t, ownSchema(schema)(t))
		if one := backlogtest.MustRead(t, source, query(layout, "q")); !one.Missing || one.Backlog() != 0 {
			t.Errorf("%s without the queue: %+v, want Missing", layout, one)
		}
	}
	for _, layout := range []string{"pgmq", "river", "graphileWorker", "pgBoss", "procrastinate"} {
		if r := backlogtest.Read(t, source, query(layout, "q"))[0]; !errors.Is(r.Err, backlog.ErrMismatch) {
			t.Errorf("%s without its tables: %+v, want ErrMismatch", layout, r)
		}
	}
	// A schema that is a piece of SQL is refused, and is none here.
	if r := backlogtest.MustRead(t, source, query("oban", "q", "schema", `public"; DROP TABLE oban_jobs; --`)); !r.Missing {
		t.Errorf("a schema that is no name: %+v", r)
	}
}

// hostileNames: no name of one trigger changes what another one reads.
func hostileNames(t *testing.T, server *postgresqltest.Server) {
	t.Helper()
	database := server.Database(t)
	database.Run(t, ownSchema("oban")(t))
	source := backlogtest.Open(t, postgresql.Engine(), connection(database, nil))
	odd := []string{`'; DROP TABLE oban_jobs; --`, `{"a",b}`, `\`, `"`, "NULL", "", " ", "ü", "\U0001F600", "{queue}", "$1", "%", "a,b", strings.Repeat("x", 1000)}
	var queries []backlog.Query
	for _, name := range odd {
		database.Exec(t, "INSERT INTO oban_jobs (queue, worker, args) VALUES ($1, 'w', '{}')", name)
		queries = append(queries, query("oban", name))
	}
	for i, r := range backlogtest.Read(t, source, queries...) {
		if r.Err != nil || r.Reading.Ready != 1 {
			t.Errorf("queue %q: %+v, want 1", odd[i], r)
		}
	}
	for _, name := range []string{"a\x00b", "\xff"} {
		results := backlogtest.Read(t, source, query("oban", name), query("oban", "ü"))
		if !errors.Is(results[0].Err, backlog.ErrMismatch) || results[1].Err != nil || results[1].Reading.Ready != 1 {
			t.Errorf("queue %q and another one: %+v, want ErrMismatch and 1", name, results)
		}
	}
}

// otherEncodings: a name that the encoding of the database does not have fails by itself.
func otherEncodings(t *testing.T, server *postgresqltest.Server) {
	t.Helper()
	database := server.Database(t, "TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
	database.Run(t, ownSchema("oban")(t))
	source := backlogtest.Open(t, postgresql.Engine(), connection(database, nil))
	queries := []backlog.Query{query("oban", "a"), query("oban", "ü"), query("oban", "\U0001F600"), query("oban", "b"), query("oban", "c")}
	for i, r := range backlogtest.Read(t, source, queries...) {
		if unknown := i == 2; unknown != errors.Is(r.Err, backlog.ErrMismatch) || !unknown && r.Err != nil {
			t.Errorf("queue %q: %+v", queries[i].Queue, r)
		}
	}
}

// caps: counts stop at a limit, and say so.
func caps(t *testing.T, server *postgresqltest.Server) {
	t.Helper()
	database := server.Database(t)
	database.Run(t, ownSchema("oban")(t)+"; INSERT INTO oban_jobs (queue, worker, args) SELECT 'q', 'w', '{}' FROM generate_series(1, 500)")
	for limit, want := range map[int64]backlog.Quality{100: backlog.Capped, 500: backlog.Capped, 501: backlog.Exact} {
		source := backlogtest.Open(t, postgresql.Engine(), connection(database, map[string]any{"countLimit": limit}))
		if r := backlogtest.MustRead(t, source, query("oban", "q")); r.Ready != min(limit, 500) || r.Quality != want {
			t.Errorf("500 jobs with a limit of %d: %d, %s, want %s", limit, r.Ready, r.Quality, want)
		}
	}
}

// paused: what is in a queue that is paused counts, and the queue says so. Resuming it is not
// notified, so it is not armed.
func paused(t *testing.T, server *postgresqltest.Server) {
	t.Helper()
	database := server.Database(t)
	database.Run(t, ownSchema("solidqueue")(t)+";"+ownSchema("bullmq")(t)+`;
		INSERT INTO solid_queue_jobs (queue_name, class_name, created_at, updated_at) VALUES ('q', 'c', now(), now());
		INSERT INTO solid_queue_ready_executions (job_id, queue_name, created_at) VALUES (1, 'q', now());
		INSERT INTO solid_queue_blocked_executions (job_id, queue_name, concurrency_key, expires_at, created_at) VALUES (1, 'q', 'k', now(), now());
		INSERT INTO bullmq.job (queue, id, seq, name, state, added_at_ms) VALUES ('q', '1', 1, 'j', 'waiting', 0);
		INSERT INTO bullmq.meta VALUES ('q', 'concurrency', '3'), ('other', 'concurrency', 'many'), ('q', 'paused', '0')`)
	source := backlogtest.Open(t, postgresql.Engine(), connection(database, nil))
	wakeups := backlogtest.Listen(t, source)
	backlogtest.Arm(t, source, wakeups, query("bullmqPg", "other"))
	for _, layout := range []string{"solidQueue", "bullmqPg"} {
		if r := backlogtest.MustRead(t, source, query(layout, "q")); r.Ready != 1 || r.Paused {
			t.Errorf("%s: %+v, want 1 and not paused", layout, r)
		}
	}
	database.Run(t, "INSERT INTO solid_queue_pauses (queue_name, created_at) VALUES ('q', now()); UPDATE bullmq.meta SET value = '1' WHERE queue = 'q' AND field = 'paused'")
	for _, layout := range []string{"solidQueue", "bullmqPg"} {
		r := backlogtest.Read(t, source, query(layout, "q"))[0]
		if r.Err != nil || r.Reading.Ready != 1 || !r.Reading.Paused || r.Armed {
			t.Errorf("%s: %+v, want 1, paused and not armed", layout, r)
		}
	}
	r := backlogtest.MustRead(t, source, query("bullmqPg", "q"))
	if other := backlogtest.MustRead(t, source, query("bullmqPg", "other")); r.MaxUseful != 3 || other.MaxUseful != 0 {
		t.Errorf("the limits are %d and %d, want 3 and none", r.MaxUseful, other.MaxUseful)
	}
}

// silentClients: a queue whose clients notify is armed after a notification was heard, and not any
// more once work came without one.
func silentClients(t *testing.T, server *postgresqltest.Server) {
	t.Helper()
	database := server.Database(t)
	database.Run(t, ownSchema("oban")(t))
	source := backlogtest.Open(t, postgresql.Engine(), connection(database, nil))
	wakeups := backlogtest.Listen(t, source)
	q, other := query("oban", "q"), query("oban", "other")
	// Until notifications are seen to arrive nothing is armed.
	eventually(t, "listening", func() bool {
		if r := backlogtest.Read(t, source, q)[0]; r.Armed {
			t.Fatal("a queue whose clients were not heard is armed")
		}
		return source.Status().WakeUp == "listen"
	})
	if r := backlogtest.Read(t, source, q)[0]; r.Armed {
		t.Error("a queue whose clients were not heard is armed")
	}
	database.Run(t, `SELECT pg_notify('public.oban_insert', '{"queue":"other"}')`)
	backlogtest.Arm(t, source, wakeups, q, other)
	// A compressed payload may concern any queue.
	database.Run(t, `SELECT pg_notify('public.oban_insert', 'H4sIAAAAAAAAA6tWKk')`)
	wakeups.Await(t, q)
	backlogtest.Arm(t, source, wakeups, q, other)
	database.Run(t, "INSERT INTO oban_jobs (queue, worker, args) VALUES ('q', 'w', '{}')")
	if r := backlogtest.Read(t, source, q)[0]; r.Armed || r.Reading.Ready != 1 {
		t.Errorf("work that came in silence: %+v, want 1 and not armed", r)
	}
	database.Run(t, `DELETE FROM oban_jobs; SELECT pg_notify('public.oban_insert', '{"queue":"q"}')`)
	for range 3 {
		if r := backlogtest.Read(t, source, q)[0]; r.Armed {
			t.Error("a queue to which work came in silence is armed again")
		}
	}
	if r := backlogtest.Read(t, source, other)[0]; !r.Armed {
		t.Error("the queue next to it is not armed")
	}
}

// eventually waits until a condition holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(postgresqltest.Patience); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %s", what, postgresqltest.Patience)
		}
	}
}

// fewConnections: a thousand triggers take three connections.
func fewConnections(t *testing.T, server *postgresqltest.Server) {
	t.Helper()
	database := server.Database(t)
	database.Run(t, ownSchema("oban")(t)+";"+ownSchema("bullmq")(t))
	source := backlogtest.Open(t, postgresql.Engine(), connection(database, map[string]any{"allowQueries": true, "applicationName": "counted"}))
	var queries []backlog.Query
	for i := range 500 {
		queries = append(queries, query("oban", strconv.Itoa(i)), query("bullmqPg", strconv.Itoa(i)))
	}
	for range 10 {
		queries = append(queries, userQuery(fmt.Sprintf("SELECT %d", len(queries))))
	}
	for range 3 {
		for i, r := range backlogtest.Read(t, source, queries...) {
			if r.Err != nil {
				t.Fatalf("query %d: %v", i, r.Err)
			}
		}
	}
	if n := database.Text(t, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'counted'"); n != "3" && n != "2" {
		t.Errorf("%s connections, want at most 3", n)
	}
}

// earlyQuestions: a listener that is asked to confirm before it is trusted becomes trusted even so.
func earlyQuestions(t *testing.T, server *postgresqltest.Server) {
	t.Helper()
	database := server.Database(t)
	database.Run(t, ownSchema("bullmq")(t))
	// The listener begins only after the first read.
	proxy := backlogtest.NewProxy(t, server.Addr())
	proxy.BlackHole()
	source := backlogtest.Open(t, postgresql.Engine(), connection(database, map[string]any{"listenAddresses": []string{proxy.Addr()}}))
	wakeups := backlogtest.Listen(t, source)
	q := query("bullmqPg", "q")
	backlogtest.MustRead(t, source, q)
	proxy.Restore()
	confirmer, ok := source.(backlog.Confirmer)
	if !ok {
		t.Fatalf("%T does not confirm", source)
	}
	// It fails until the listener is trusted.
	confirm := func() { _, _ = confirmer.Confirm(t.Context()) }
	for database.Text(t, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'") == "0" {
		confirm()
	}
	for range 20 {
		confirm()
		time.Sleep(time.Millisecond)
	}
	backlogtest.Arm(t, source, wakeups, q)
}
