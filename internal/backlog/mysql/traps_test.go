package mysql_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/mysql"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/mysql/mysqltest"
)

func query(layout, queue string, params ...string) backlog.Query {
	values := map[string]string{}
	for i := 0; i+1 < len(params); i += 2 {
		values[params[i]] = params[i+1]
	}
	return backlog.Query{Layout: layout, Queue: queue, Params: backlog.NewParams(values)}
}

func userQuery(sql string) backlog.Query { return query("query", sql) }

// all makes the tables of all frameworks.
func all(t *testing.T, database *mysqltest.Database) {
	t.Helper()
	for _, f := range frameworks() {
		database.Run(t, f.schema)
	}
}

// timeZones: times are in UTC, or Unix time, whatever the time zone of the server, which is another one
// here.
func timeZones(t *testing.T, server *mysqltest.Server) {
	t.Helper()
	database := server.Database(t)
	all(t, database)
	source := backlogtest.Open(t, mysql.Engine(), connection(database, nil))
	for layout, insert := range map[string]string{
		"laravel":    "INSERT INTO jobs (queue, payload, attempts, available_at, created_at) VALUES ('q', '{}', 0, UNIX_TIMESTAMP() + ?, 0)",
		"solidQueue": "INSERT INTO solid_queue_scheduled_executions (job_id, queue_name, scheduled_at, created_at) VALUES (1, 'q', UTC_TIMESTAMP(6) + INTERVAL ? SECOND, UTC_TIMESTAMP(6))",
		"delayedJob": "INSERT INTO delayed_jobs (handler, queue, run_at) VALUES ('', 'q', UTC_TIMESTAMP(6) + INTERVAL ? SECOND)",
	} {
		database.Run(t, insert, 600)
		r := backlogtest.MustRead(t, source, query(layout, "q"))
		if left := time.Until(r.NextDue); r.Backlog() != 0 || left < 8*time.Minute || left > 11*time.Minute {
			t.Errorf("%s: a job in ten minutes: %+v, due in %s", layout, r, left)
		}
		database.Run(t, insert, -600)
		r = backlogtest.MustRead(t, source, query(layout, "q"))
		age := time.Since(r.Oldest.Since)
		if r.Ready+r.Due != 1 || r.Oldest.Kind != backlog.AgeExact || age < 9*time.Minute || age > 12*time.Minute {
			t.Errorf("%s: a job that has been due for ten minutes: %+v, for %s", layout, r, age)
		}
	}
	database.Run(t, "INSERT INTO solid_queue_pauses (queue_name, created_at) VALUES ('q', UTC_TIMESTAMP())")
	if r := backlogtest.MustRead(t, source, query("solidQueue", "q")); !r.Paused {
		t.Errorf("a paused queue: %+v", r)
	}
}

// missing: a queue that does not exist is Missing, a table an error.
func missing(t *testing.T, server *mysqltest.Server) {
	t.Helper()
	database := server.Database(t)
	source := backlogtest.Open(t, mysql.Engine(), connection(database, nil))
	for _, f := range frameworks() {
		r := backlogtest.Read(t, source, query(f.layout, "q"))[0]
		if !errors.Is(r.Err, backlog.ErrMismatch) || !strings.Contains(r.Err.Error(), "run its migrations") {
			t.Errorf("%s without its tables: %+v, want ErrMismatch with advice", f.layout, r)
		}
		database.Run(t, f.schema)
		if one := backlogtest.MustRead(t, source, query(f.layout, "q")); !one.Missing || one.Backlog() != 0 {
			t.Errorf("%s without the queue: %+v, want Missing", f.layout, one)
		}
	}
	database.Run(t, "CREATE TABLE other LIKE jobs; INSERT INTO other (queue, payload, attempts, available_at, created_at) VALUES ('q', '', 0, 0, 0)")
	if r := backlogtest.MustRead(t, source, query("laravel", "q", "table", "other")); r.Ready != 1 {
		t.Errorf("a job in another table: %+v, want 1", r)
	}
	if r := backlogtest.MustRead(t, source, query("laravel", "q", "table", "other`; DROP TABLE jobs; --")); !r.Missing {
		t.Errorf("a table that is no name: %+v", r)
	}
}

// hostileNames: no name of one trigger changes what another one reads, also in a batch that takes
// several statements.
func hostileNames(t *testing.T, server *mysqltest.Server) {
	t.Helper()
	database := server.Database(t)
	all(t, database)
	source := backlogtest.Open(t, mysql.Engine(), connection(database, nil))
	odd := []string{`'; DROP TABLE jobs; --`, `\`, `\'`, `"`, "NULL", "", "?", "ü", "\U0001F600", "{queue}", "%", "a,b", strings.Repeat("x", 200)}
	for i := range 250 {
		odd = append(odd, strconv.Itoa(i))
	}
	var queries []backlog.Query
	for _, name := range odd {
		database.Run(t, "INSERT INTO jobs (queue, payload, attempts, available_at, created_at) VALUES (?, '{}', 0, 0, 0)", name)
		queries = append(queries, query("laravel", name))
	}
	for i, r := range backlogtest.Read(t, source, queries...) {
		if r.Err != nil || r.Reading.Ready != 1 {
			t.Errorf("queue %q: %+v, want 1", odd[i], r)
		}
	}
	for _, name := range []string{"a\x00b", "\xff"} {
		results := backlogtest.Read(t, source, query("laravel", name), query("laravel", "ü"))
		if !errors.Is(results[0].Err, backlog.ErrMismatch) || results[1].Err != nil || results[1].Reading.Ready != 1 {
			t.Errorf("queue %q and another one: %+v, want ErrMismatch and 1", name, results)
		}
	}
}

// characterSets: a name that the character set of the column does not have fails by itself.
func characterSets(t *testing.T, server *mysqltest.Server) {
	t.Helper()
	database := server.Database(t)
	all(t, database)
	database.Run(t, "ALTER TABLE jobs CONVERT TO CHARACTER SET latin1; INSERT INTO jobs (queue, payload, attempts, available_at, created_at) VALUES ('a', '', 0, 0, 0), ('ü', '', 0, 0, 0), ('c', '', 0, 0, 0)")
	source := backlogtest.Open(t, mysql.Engine(), connection(database, nil))
	queries := []backlog.Query{query("laravel", "a"), query("laravel", "ü"), query("laravel", "\U0001F600"), query("laravel", "c")}
	for i, r := range backlogtest.Read(t, source, queries...) {
		if unknown := i == 2; unknown != errors.Is(r.Err, backlog.ErrMismatch) || !unknown && (r.Err != nil || r.Reading.Ready != 1) {
			t.Errorf("queue %q: %+v", queries[i].Queue, r)
		}
	}
}

// caps: counts stop at a limit, and say so.
func caps(t *testing.T, server *mysqltest.Server) {
	t.Helper()
	database := server.Database(t)
	all(t, database)
	database.Run(t, "INSERT INTO jobs (queue, payload, attempts, available_at, created_at) SELECT 'q', '', 0, 0, 0 FROM seq_1_to_500")
	for limit, want := range map[int64]backlog.Quality{100: backlog.Capped, 500: backlog.Capped, 501: backlog.Exact} {
		source := backlogtest.Open(t, mysql.Engine(), connection(database, map[string]any{"countLimit": limit}))
		if r := backlogtest.MustRead(t, source, query("laravel", "q")); r.Ready != min(limit, 500) || r.Quality != want {
			t.Errorf("500 jobs with a limit of %d: %d, %s, want %s", limit, r.Ready, r.Quality, want)
		}
	}
}

// unnamedQueues: most jobs of Delayed::Job have no queue, and failed ones stay in the table.
func unnamedQueues(t *testing.T, server *mysqltest.Server) {
	t.Helper()
	database := server.Database(t)
	all(t, database)
	database.Run(t, `INSERT INTO delayed_jobs (handler, queue, run_at, failed_at) VALUES ('', NULL, UTC_TIMESTAMP(6), NULL), ('', NULL, UTC_TIMESTAMP(6), NULL),
		('', 'q', UTC_TIMESTAMP(6), NULL), ('', 'q', UTC_TIMESTAMP(6), UTC_TIMESTAMP(6))`)
	source := backlogtest.Open(t, mysql.Engine(), connection(database, nil))
	for queue, want := range map[string]int64{"*": 3, "q": 1} {
		if r := backlogtest.MustRead(t, source, query("delayedJob", queue)); r.Ready != want {
			t.Errorf("queue %q: %+v, want %d", queue, r, want)
		}
	}
}

// userQueries: nothing that is unknown is 0, and nothing but a SELECT is run. MySQL's scaler of KEDA has
// a query too.
func userQueries(t *testing.T, server *mysqltest.Server) {
	t.Helper()
	database := server.Database(t)
	all(t, database)
	database.Run(t, "INSERT INTO jobs (queue, payload, attempts, available_at, created_at) VALUES ('mail', '', 0, 0, 0), ('mail', '', 0, 0, 0), ('bills', '', 0, 0, 0)")
	source := backlogtest.Open(t, mysql.Engine(), connection(database, map[string]any{"allowQueries": true}))
	for sql, want := range map[string]int64{
		"SELECT COUNT(*) FROM jobs":       3,
		"SELECT COUNT(*) AS n FROM jobs;": 3,
		"SELECT 2.1":                      3,
		// KEDA formats a number with three digits, so that it takes this one for 0.
		"SELECT 0.0004": 1,
		"SELECT 1 AS ready, 2 AS due, 4 in_flight":                 7,
		"SELECT 5 -- a remark":                                     5,
		"SELECT queue, COUNT(*) AS ready FROM jobs GROUP BY queue": 3,
	} {
		if r := backlogtest.MustRead(t, source, userQuery(sql)); r.Backlog() != want || r.Epoch == "" {
			t.Errorf("%s: %+v, want %d", sql, r, want)
		}
	}
	for sql, want := range map[string]string{
		"SELECT NULL": "is NULL",
		"SELECT SUM(id) FROM jobs WHERE queue = 'none'": "is NULL",
		"SELECT 1 FROM jobs WHERE 0":                    "no row",
		"SELECT 1 FROM jobs":                            "several rows",
		"SELECT -1":                                     `"-1"`,
		"SELECT 'many'":                                 "many",
		"SELECT 1 FROM no_such":                         "no_such",
		"SELECT 1; DELETE FROM jobs":                    "1064",
		"SELECT 1) AS c; DELETE FROM jobs; -- ":         "1064",
		"DELETE FROM jobs":                              "want one SELECT",
		"SELECT 1 INTO OUTFILE '/tmp/no_such'":          "error",
	} {
		r := backlogtest.Read(t, source, userQuery(sql))[0]
		if !errors.Is(r.Err, backlog.ErrMismatch) || !strings.Contains(r.Err.Error(), want) {
			t.Errorf("%s: %+v, want ErrMismatch with %q", sql, r, want)
		}
	}
	if r := backlogtest.Read(t, source, userQuery("SELECT seq AS queue, 1 AS ready FROM seq_1_to_5000"))[0]; !errors.Is(r.Err, backlog.ErrExhausted) {
		t.Errorf("a query of 5000 rows: %+v, want ErrExhausted", r)
	}
	if got := database.Text(t, "SELECT COUNT(*) FROM jobs"); got != "3" {
		t.Errorf("after all queries there are %s rows, want 3", got)
	}
	refusing := backlogtest.Open(t, mysql.Engine(), connection(database, nil))
	if r := backlogtest.Read(t, refusing, userQuery("SELECT 1"))[0]; !errors.Is(r.Err, backlog.ErrDenied) {
		t.Errorf("a connection that does not allow queries: %+v, want ErrDenied", r)
	}
}

// slowQueries: a query that takes long ends by itself, and fails no other one.
func slowQueries(t *testing.T, server *mysqltest.Server) {
	t.Helper()
	database := server.Database(t)
	all(t, database)
	source := backlogtest.Open(t, mysql.Engine(), connection(database, map[string]any{"allowQueries": true, "statementTimeout": 300 * time.Millisecond}))
	results := backlogtest.Read(t, source, userQuery("SELECT COUNT(*) FROM seq_1_to_100000000 a, seq_1_to_100000000 b"), userQuery("SELECT 2"), query("laravel", "q"))
	if err := results[0].Err; !errors.Is(err, backlog.ErrUnavailable) || !strings.Contains(err.Error(), "statementTimeout") {
		t.Errorf("a query without end: %v, want ErrUnavailable by the timeout", err)
	}
	if results[1].Err != nil || results[1].Reading.Ready != 2 || results[2].Err != nil {
		t.Errorf("the queries next to it: %+v", results[1:])
	}
}

// diagnosis: what is wrong at first contact has a remedy, and a secret appears nowhere.
func diagnosis(t *testing.T, server *mysqltest.Server) {
	t.Helper()
	database := server.Database(t)
	all(t, database)
	user := "login_" + database.Name
	database.Run(t, fmt.Sprintf("CREATE USER '%[1]s'@'%%' IDENTIFIED BY 'right'; GRANT SELECT ON %[2]s.delayed_jobs TO '%[1]s'@'%%'", user, database.Name))
	right := map[string]any{"username": user, "password": backlog.NewSecret("right")}
	for name, one := range map[string]struct {
		settings map[string]any
		err      error
		want     string
	}{
		"no password":    {map[string]any{"username": user}, backlog.ErrDenied, "change: username and password"},
		"wrong password": {map[string]any{"username": user, "password": backlog.NewSecret("s3cret-wrong")}, backlog.ErrDenied, "change: username and password"},
		"no database":    {map[string]any{"database": "no_such"}, backlog.ErrMismatch, "change: database"},
		"no right":       {right, backlog.ErrDenied, "GRANT SELECT ON"},
		"no tls":         {map[string]any{"tls": true}, backlog.ErrUnavailable, "change: tls: false"},
		"refused":        {map[string]any{"address": "127.0.0.1:1"}, backlog.ErrUnavailable, "nothing listens there"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source := backlogtest.Open(t, mysql.Engine(), connection(database, one.settings))
			err := backlogtest.Read(t, source, query("laravel", "q"))[0].Err
			if !errors.Is(err, one.err) || !strings.Contains(err.Error(), one.want) || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%v, want %v with %q", err, one.err, one.want)
			}
			prober, ok := source.(backlog.Prober)
			if !ok {
				t.Fatal("the source does not verify its connection")
			}
			if err := prober.Probe(t.Context()); (err == nil) != (name == "no right") {
				t.Errorf("the probe gives %v", err)
			}
		})
	}
	source := backlogtest.Open(t, mysql.Engine(), connection(database, right))
	if r := backlogtest.Read(t, source, query("delayedJob", "q"))[0]; r.Err != nil {
		t.Errorf("with SELECT on the table: %v", r.Err)
	}
	if server := source.Status().Server; !strings.HasPrefix(server, "mariadb 1") {
		t.Errorf("the server is %q", server)
	}
}

// fewConnections: a thousand triggers take two connections.
func fewConnections(t *testing.T, server *mysqltest.Server) {
	t.Helper()
	database := server.Database(t)
	all(t, database)
	source := backlogtest.Open(t, mysql.Engine(), connection(database, map[string]any{"allowQueries": true}))
	var queries []backlog.Query
	for i := range 1000 {
		queries = append(queries, query("laravel", strconv.Itoa(i)))
	}
	queries = append(queries, userQuery("SELECT 1"))
	before, err := strconv.Atoi(database.Text(t, "SELECT COUNT(*) FROM information_schema.processlist WHERE db = DATABASE()"))
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		for i, r := range backlogtest.Read(t, source, queries...) {
			if r.Err != nil {
				t.Fatalf("query %d: %v", i, r.Err)
			}
		}
	}
	after, err := strconv.Atoi(database.Text(t, "SELECT COUNT(*) FROM information_schema.processlist WHERE db = DATABASE()"))
	if err != nil || after-before > 2 {
		t.Errorf("%d connections more than %d (%v), want at most 2", after-before, before, err)
	}
}

// TestOutages: a server that is frozen, restarted, or read-only, on a server that no other test uses.
func TestOutages(t *testing.T) {
	t.Parallel()
	server := mysqltest.Start(t)
	database := server.Database(t)
	all(t, database)
	database.Run(t, "INSERT INTO jobs (queue, payload, attempts, available_at, created_at) VALUES ('q', '', 0, 0, 0)")
	source := backlogtest.Open(t, mysql.Engine(), connection(database, nil))
	q := query("laravel", "q")
	before := backlogtest.MustRead(t, source, q)
	server.Freeze(t)
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		if r := source.Read(ctx, []backlog.Query{q}, nil)[0]; !errors.Is(r.Err, backlog.ErrUnavailable) {
			t.Errorf("a frozen server: %+v, want ErrUnavailable", r)
		}
		cancel()
	}
	server.Thaw(t)
	eventually(t, "a read after the freeze", func() bool { return backlogtest.Read(t, source, q)[0].Err == nil })
	server.Restart(t)
	eventually(t, "a read after the restart", func() bool {
		r := backlogtest.Read(t, source, q)[0]
		return r.Err == nil && r.Reading.Ready == 1 && r.Reading.Epoch == before.Epoch
	})
	eventually(t, "the server is read-only", func() bool {
		database.Run(t, "SET GLOBAL read_only = 1")
		return true
	})
	refusing := backlogtest.Open(t, mysql.Engine(), connection(database, nil))
	if r := backlogtest.Read(t, refusing, q)[0]; !errors.Is(r.Err, backlog.ErrMismatch) || !strings.Contains(r.Err.Error(), "allowReplica") {
		t.Errorf("a read-only server: %+v, want ErrMismatch with advice", r)
	}
	accepting := backlogtest.Open(t, mysql.Engine(), connection(database, map[string]any{"allowReplica": true}))
	if r := backlogtest.MustRead(t, accepting, q); r.Ready != 1 || !strings.Contains(r.Warning, "read-only") {
		t.Errorf("a read-only server that is accepted: %+v, want 1 with a warning", r)
	}
}

func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(mysqltest.Patience); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %s", what, mysqltest.Patience)
		}
	}
}
