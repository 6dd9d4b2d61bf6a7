package postgresql_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/postgresql"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/postgresql/postgresqltest"
)

func userQuery(sql string) backlog.Query { return backlog.Query{Layout: "query", Queue: sql} }

// userQueries: what SQL counts, and what it may not do.
func userQueries(t *testing.T, server *postgresqltest.Server) {
	t.Helper()
	database := server.Database(t)
	database.Run(t, "CREATE TABLE jobs (queue text, at timestamptz NOT NULL DEFAULT now()); INSERT INTO jobs SELECT q FROM unnest('{mail,mail,bills}'::text[]) q")
	source := backlogtest.Open(t, postgresql.Engine(), connection(database, map[string]any{"allowQueries": true}))
	for sql, want := range map[string]backlog.Reading{
		"SELECT count(*) FROM jobs":              {Ready: 3},
		"SELECT count(*) AS anything FROM jobs;": {Ready: 3},
		"SELECT 2.1":                             {Ready: 3},
		// KEDA formats a number with three digits, so that it takes this one for 0.
		"SELECT 0.0004::float8 AS ready":            {Ready: 1},
		"SELECT 0.001::float8 AS ready":             {Ready: 1},
		"WITH c AS (SELECT 4 AS n) SELECT n FROM c": {Ready: 4},
		"VALUES (5)":           {Ready: 5},
		"SELECT 1 -- a remark": {Ready: 1},
		"SELECT 1 AS ready, 2 AS due, 3 AS inFlight":      {Ready: 1, Due: 2, InFlight: backlog.Exactly(3)},
		"SELECT 1 AS ready, 0 AS in_flight, true paused":  {Ready: 1, InFlight: backlog.Exactly(0), Paused: true},
		"SELECT 7 AS ready, 3 AS max_useful":              {Ready: 7, MaxUseful: 3},
		"SELECT 0 AS ready, NULL AS oldest, NULL AS next": {},
	} {
		r := backlogtest.MustRead(t, source, userQuery(sql))
		if r.At.IsZero() || r.Epoch == "" {
			t.Errorf("%s: %+v, want the time of the answer and an epoch", sql, r)
		}
		r.At, r.Epoch = time.Time{}, ""
		if figures(r) != figures(want) || r.MaxUseful != want.MaxUseful || r.Paused != want.Paused || r.Oldest != want.Oldest {
			t.Errorf("%s: %+v, want %+v", sql, r, want)
		}
	}
	queryErrors(t, source)
	queryParts(t, source)
	if got := database.Text(t, "SELECT count(*) FROM jobs"); got != "3" {
		t.Errorf("after all queries there are %s rows, want 3", got)
	}
	refusing := backlogtest.Open(t, postgresql.Engine(), connection(database, nil))
	if r := backlogtest.Read(t, refusing, userQuery("SELECT 1"))[0]; !errors.Is(r.Err, backlog.ErrDenied) {
		t.Errorf("a connection that does not allow queries: %+v, want ErrDenied", r)
	}
}

// figures are the counts of a reading.
func figures(r backlog.Reading) [4]int64 {
	known := int64(0)
	if r.InFlight.Known {
		known = 1
	}
	return [4]int64{r.Ready, r.Due, r.InFlight.N, known}
}

// queryErrors: nothing that is unknown is 0, and nothing but a SELECT is run.
func queryErrors(t *testing.T, source backlog.Source) {
	t.Helper()
	mismatch := map[string]string{
		// What KEDA's scaler has as an error too.
		"SELECT NULL::int":     "is NULL",
		"SELECT 1 WHERE false": "no row",
		"SELECT sum(n) FROM (VALUES (1)) v(n) WHERE n > 1": "is NULL",
		"SELECT generate_series(1, 2)":                     "several rows",
		// What KEDA takes for 0.
		"SELECT -1":                                               `"-1"`,
		"SELECT 'NaN'::float8":                                    "NaN",
		"SELECT 'Infinity'::float8":                               "Infinity",
		"SELECT 'many'":                                           "many",
		"SELECT 1 AS redy, 2 AS due":                              `did you mean "ready"`,
		"SELECT 1 AS due, 2 AS oldest":                            "no column ready",
		"SELECT 1 AS ready, 2 AS ready":                           "twice",
		"SELECT 1 AS ready, now() AS oldest":                      "want a number of seconds",
		"SELECT 1/0":                                              "division by zero",
		"SELECT 1 FROM no_such_table":                             "no_such_table",
		"SELECT":                                                  "no column ready",
		"SELECT 1) AS q; SELECT (2":                               "SQLSTATE 42601",
		"SELECT 1; DELETE FROM jobs":                              "syntax error",
		"WITH d AS (DELETE FROM jobs) SELECT 1":                   "data-modifying statement",
		"SELECT 1) AS q; COMMIT; --":                              "SQLSTATE 42601",
		"SELECT nextval('no_such_sequence')":                      "no_such_sequence",
		"SELECT set_config('transaction_read_only', 'off', true)": "read-write mode",
		"DELETE FROM jobs":                                        "want one SELECT",
		"SELECT repeat('x', 3000000)":                             "",
	}
	for sql, want := range mismatch {
		r := backlogtest.Read(t, source, userQuery(sql))[0]
		if r.Err == nil || !strings.Contains(r.Err.Error(), want) {
			t.Errorf("%s: %+v, want an error with %q", sql, r, want)
		}
		if want != "" && !errors.Is(r.Err, backlog.ErrMismatch) {
			t.Errorf("%s: %v, want ErrMismatch", sql, r.Err)
		}
	}
	if r := backlogtest.Read(t, source, userQuery("SELECT g::text AS queue, 1 AS ready FROM generate_series(1, 5000) g"))[0]; !errors.Is(r.Err, backlog.ErrExhausted) {
		t.Errorf("a query of 5000 rows: %+v, want ErrExhausted", r)
	}
}

// queryParts: a row for each queue.
func queryParts(t *testing.T, source backlog.Source) {
	t.Helper()
	const each = "SELECT queue, count(*) AS ready, 1 AS in_flight, EXTRACT(EPOCH FROM now() - min(at)) + 60 AS oldest FROM jobs WHERE queue LIKE 'QUEUE' GROUP BY queue"
	r := backlogtest.MustRead(t, source, userQuery(strings.ReplaceAll(each, "QUEUE", "%")))
	if len(r.Parts) != 2 || r.Ready != 3 || r.InFlight != backlog.Exactly(2) || r.Missing {
		t.Errorf("queues of 2 and 1: %+v", r)
	}
	if age := time.Since(r.Oldest.Since); r.Oldest.Kind != backlog.AgeExact || age < time.Minute || age > time.Hour {
		t.Errorf("the oldest is %+v, want one of a minute", r.Oldest)
	}
	if r = backlogtest.MustRead(t, source, userQuery(strings.ReplaceAll(each, "QUEUE", "none"))); !r.Missing || r.Backlog() != 0 {
		t.Errorf("no queue: %+v, want Missing", r)
	}
}

// slowQueries: a query that takes long ends by itself, delays no framework and no other query for
// long, and loads the server for a part of the time.
func slowQueries(t *testing.T, server *postgresqltest.Server) {
	t.Helper()
	database := server.Database(t)
	source := backlogtest.Open(t, postgresql.Engine(), connection(database, map[string]any{"allowQueries": true, "statementTimeout": 300 * time.Millisecond}))
	slow, quick := userQuery("SELECT 1 FROM pg_sleep(60)"), userQuery("SELECT 2")
	results := backlogtest.Read(t, source, slow, quick)
	if err := results[0].Err; !errors.Is(err, backlog.ErrUnavailable) || !strings.Contains(err.Error(), "statementTimeout") {
		t.Errorf("a query of a minute: %v, want ErrUnavailable by the timeout", err)
	}
	if results[1].Err != nil || results[1].Reading.Ready != 2 {
		t.Errorf("the query next to it: %+v, want 2", results[1])
	}
	// When it was slow twice its error holds for nine times as long as it took, at least 2.7 s.
	backlogtest.Read(t, source, slow)
	began := time.Now()
	again := backlogtest.Read(t, source, slow)[0]
	if took := time.Since(began); again.Err == nil || took > 250*time.Millisecond && took < 2*time.Second {
		t.Errorf("the second read gives %+v after %s, want the error of the one before", again, took)
	}
	// A read that ends before is not slow.
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if r := source.Read(ctx, []backlog.Query{userQuery("SELECT 1 FROM pg_sleep(61)")}, nil)[0]; !errors.Is(r.Err, backlog.ErrUnavailable) {
		t.Errorf("a read that ends: %+v, want ErrUnavailable", r)
	}
}

// queryWakes: a query whose application notifies is read at once.
func queryWakes(t *testing.T, server *postgresqltest.Server) {
	t.Helper()
	database := server.Database(t)
	database.Run(t, "CREATE TABLE jobs (id bigserial)")
	source := backlogtest.Open(t, postgresql.Engine(), connection(database, map[string]any{"allowQueries": true}))
	q := userQuery("SELECT count(*) FROM jobs")
	q.Params = backlog.NewParams(map[string]string{"channel": `Jobs "added"`})
	wakeups := backlogtest.Listen(t, source)
	for i := range 3 {
		backlogtest.Arm(t, source, wakeups, q)
		database.Run(t, `INSERT INTO jobs DEFAULT VALUES; NOTIFY "Jobs ""added"""`)
		wakeups.Await(t, q)
		if r := backlogtest.MustRead(t, source, q); r.Ready != int64(i+1) {
			t.Errorf("after wake-up %d: %+v", i+1, r)
		}
	}
}
