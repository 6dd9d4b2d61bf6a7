package layout_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/postgresql"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/postgresql/postgresqltest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
)

// A library is the real library of a framework at work in a database. Its operations are "version",
// "setup" of a queue, "add" of so many jobs, "delay" of one by so many seconds, and "take" of so many,
// which then stay in flight.
type library interface {
	do(t testing.TB, result any, operation string, args ...any)
}

// A driven library is a process.
type driven struct{ *layouttest.Driver }

func (d driven) do(t testing.TB, result any, operation string, args ...any) {
	t.Helper()
	d.Do(result, operation, args...)
}

// A libraryTest is what a framework is tested with.
type libraryTest struct {
	layout string
	// version is how that of the library begins.
	version string
	start   func(testing.TB, *postgresqltest.Database) library
	// clients reports that clients notify and not the database, and polled that neither does.
	clients, polled bool
	// due reports that work whose time has come is Due and not Ready.
	due bool
	// missing reports that setup does not make the queue known.
	missing bool
	// pauses and limits report that the library can do so.
	pauses, limits bool
	// age reports that the oldest of three jobs is known exactly.
	age bool
	// rights are the grants that docs/configuration.md names for the layout, and enough to read it.
	rights string
}

// of returns the same test of another version, which is installed under another name.
func (l libraryTest) of(version string, start func(testing.TB, *postgresqltest.Database) library) libraryTest {
	l.version, l.start = version, start
	return l
}

// silent returns the test of a version that does not notify.
func (l libraryTest) silent() libraryTest {
	l.polled = true
	return l
}

// npm drives the packages installed under a name by a script.
func npm(name, script string) func(testing.TB, *postgresqltest.Database) library {
	return func(t testing.TB, database *postgresqltest.Database) library {
		t.Helper()
		packages := layouttest.Installed(t, name, "node_modules")
		return driven{layouttest.StartScript(t, []string{"NODE_PATH=" + packages}, []string{"node"}, filepath.FromSlash(script), database.URL("postgres"), packages)}
	}
}

// python drives Procrastinate, installed under a name.
func python(name string) func(testing.TB, *postgresqltest.Database) library {
	return func(t testing.TB, database *postgresqltest.Database) library {
		t.Helper()
		program := layouttest.Installed(t, name, "venv", "bin", "python")
		return driven{layouttest.StartScript(t, nil, []string{program}, filepath.Join("procrastinate", "driver.py"), database.URL("postgres"))}
	}
}

// riverDriver drives River, built under a name.
func riverDriver(name string) func(testing.TB, *postgresqltest.Database) library {
	return func(t testing.TB, database *postgresqltest.Database) library {
		t.Helper()
		return driven{layouttest.StartDriver(t, nil, layouttest.Installed(t, name, "driver"), database.URL("postgres"))}
	}
}

// pgmqFunctions are those of pgmq, installed under a name.
func pgmqFunctions(name string) func(testing.TB, *postgresqltest.Database) library {
	return func(t testing.TB, database *postgresqltest.Database) library {
		t.Helper()
		paths, err := filepath.Glob(layouttest.Installed(t, name, "venv") + "/lib/python3*/site-packages/pgmq/sql/pgmq.sql")
		if err != nil || len(paths) != 1 {
			t.Fatalf("find pgmq: %v %v", paths, err)
		}
		return functions{database: database, file: paths[0]}
	}
}

func libraries() []libraryTest {
	river := libraryTest{
		layout: "river", version: "0.51.", start: riverDriver("river"), clients: true, due: true, missing: true, pauses: true, age: true,
		rights: "USAGE ON SCHEMA public, SELECT ON river_job, river_queue",
	}
	boss := libraryTest{layout: "pgBoss", version: "12.", start: npm("pg-boss", "pg-boss/driver.mjs"), age: true, rights: "USAGE ON SCHEMA pgboss, SELECT ON pgboss.job, pgboss.queue"}
	graphile := libraryTest{
		layout: "graphileWorker", version: "0.18.", start: npm("graphile-worker", "graphile-worker/driver.js"), missing: true, age: true,
		rights: "USAGE ON SCHEMA graphile_worker, SELECT ON graphile_worker.jobs",
	}
	bullmq := libraryTest{
		layout: "bullmqPg", version: "6.7.", start: npm("bullmq-pg", "bullmq-pg/driver.js"), due: true, pauses: true, limits: true,
		rights: "USAGE ON SCHEMA bullmq, SELECT ON bullmq.job, bullmq.meta",
	}
	procrastinate := libraryTest{layout: "procrastinate", version: "3.", start: python("procrastinate"), missing: true, rights: "USAGE ON SCHEMA public, SELECT ON procrastinate_jobs"}
	pgmq := libraryTest{layout: "pgmq", version: "1.13.", start: pgmqFunctions("pgmq"), age: true, rights: "USAGE ON SCHEMA pgmq, SELECT ON pgmq.meta, pgmq.q_mail"}
	return []libraryTest{
		river, river.of("0.25.", riverDriver("river-0.25")),
		boss, boss.of("11.", npm("pg-boss-11", "pg-boss/driver.mjs")).silent(), boss.of("10.", npm("pg-boss-10", "pg-boss/driver.mjs")).silent(),
		graphile, graphile.of("0.16.", npm("graphile-worker-0.16", "graphile-worker/driver.js")),
		bullmq, bullmq.of("6.0.", npm("bullmq-pg-6.0", "bullmq-pg/driver.js")),
		procrastinate, procrastinate.of("2.", python("procrastinate-2")).silent(),
		pgmq, pgmq.of("1.11.", pgmqFunctions("pgmq-1.11")),
	}
}

// functions are pgmq, whose library is a set of functions.
type functions struct {
	database *postgresqltest.Database
	file     string
}

func (f functions) do(t testing.TB, result any, operation string, args ...any) {
	t.Helper()
	switch operation {
	case "version":
		version, err := os.ReadFile(f.file + ".version")
		if errors.Is(err, fs.ErrNotExist) {
			version, err = os.ReadFile(filepath.Join(filepath.Dir(f.file), "VERSION"))
		}
		if err != nil {
			t.Fatal(err)
		}
		*result.(*string) = strings.TrimSpace(string(version)) //nolint:errcheck,forcetypeassert // it is a text
	case "setup":
		text, err := os.ReadFile(f.file)
		if err != nil {
			t.Fatal(err)
		}
		f.database.Run(t, string(text))
		f.database.Exec(t, "SELECT pgmq.create($1)", args[0])
		f.database.Exec(t, "SELECT pgmq.enable_notify_insert($1)", args[0])
	case "add":
		f.database.Exec(t, "SELECT pgmq.send($1, '{}') FROM generate_series(1, $2)", args...)
	case "delay":
		f.database.Exec(t, "SELECT pgmq.send($1, '{}', $2::int)", args...)
	case "take":
		f.database.Exec(t, "SELECT pgmq.read($1, 600, $2)", args...)
	}
}

// TestLibraries compares each layout with what its real library does, on each server.
func TestLibraries(t *testing.T) {
	t.Parallel()
	for _, version := range postgresqltest.Versions(t) {
		t.Run(version.Name, func(t *testing.T) {
			t.Parallel()
			server := postgresqltest.Start(t, version, "-c", "max_connections=200", "-c", "timezone=Asia/Tokyo")
			for _, l := range libraries() {
				t.Run(l.layout+" "+strings.Trim(l.version, "."), func(t *testing.T) {
					t.Parallel()
					l.test(t, server.Database(t))
				})
			}
		})
	}
}

func (l libraryTest) test(t *testing.T, database *postgresqltest.Database) {
	t.Helper()
	work := l.start(t, database)
	var version string
	work.do(t, &version, "version")
	if !strings.HasPrefix(version, l.version) {
		t.Fatalf("the library is version %q, want %s", version, l.version)
	}
	t.Logf("%s is tried with %s", l.layout, version)
	work.do(t, nil, "setup", "mail")
	source := open(t, database, "postgres")
	q := backlog.Query{Layout: l.layout, Queue: "mail"}
	// BullMQ writes its settings of the queue a moment later.
	eventually(t, "an empty queue exists, or not", func() bool {
		r := backlogtest.MustRead(t, source, q)
		return r.Missing == l.missing && r.Backlog() == 0
	})
	l.wakes(t, work, source, q)
	l.counts(t, work, source, q)
	l.delays(t, work, source, q)
	l.switches(t, work, source, q)
	l.reads(t, database, source, q)
}

// reads: a user with the rights that are documented, and no others, reads the same.
func (l libraryTest) reads(t *testing.T, database *postgresqltest.Database, source backlog.Source, q backlog.Query) {
	t.Helper()
	user := "reader_" + database.Name
	usage, tables, _ := strings.Cut(l.rights, ", ")
	database.Run(t, fmt.Sprintf("REVOKE ALL ON SCHEMA public FROM PUBLIC; CREATE ROLE %[1]s LOGIN; GRANT %[2]s TO %[1]s; GRANT %[3]s TO %[1]s", user, usage, tables))
	reader := open(t, database, user)
	eventually(t, "the reader reads what the superuser reads", func() bool {
		got, want := backlogtest.MustRead(t, reader, q), backlogtest.MustRead(t, source, q)
		return got.Ready == want.Ready && got.Due == want.Due && got.InFlight == want.InFlight && got.Backlog() > 0 && got.Missing == want.Missing
	})
}

func open(t testing.TB, database *postgresqltest.Database, user string) backlog.Source {
	t.Helper()
	return backlogtest.Open(t, postgresql.Engine(), backlog.Connection{Name: "jobs", Engine: "postgresql", Settings: backlog.NewSettings(map[string]any{
		"addresses": []string{database.Server.Addr()}, "database": database.Name, "username": user, "statementTimeout": time.Minute,
	})})
}

// wakes: an idle queue is noticed at once. The queue has three jobs afterwards.
func (l libraryTest) wakes(t *testing.T, work library, source backlog.Source, q backlog.Query) {
	t.Helper()
	wakeups := backlogtest.Listen(t, source)
	if l.clients {
		// A first notification shows that clients notify.
		eventually(t, "listening", func() bool { return !backlogtest.Read(t, source, q)[0].Armed && source.Status().WakeUp == "listen" })
		if backlogtest.Read(t, source, q)[0].Armed {
			t.Error("a queue of silent clients is armed")
		}
		work.do(t, nil, "add", "other", 1)
	}
	if l.polled {
		if backlogtest.Read(t, source, q)[0].Armed {
			t.Error("a queue without notifications is armed")
		}
		work.do(t, nil, "add", "mail", 3)
		return
	}
	backlogtest.Arm(t, source, wakeups, q)
	work.do(t, nil, "add", "mail", 3)
	wakeups.Await(t, q)
}

func (l libraryTest) counts(t *testing.T, work library, source backlog.Source, q backlog.Query) {
	t.Helper()
	r := backlogtest.MustRead(t, source, q)
	age := time.Since(r.Oldest.Since)
	if r.Missing || r.Ready != 3 || r.Due != 0 || r.InFlight != backlog.Exactly(0) || r.Quality != backlog.Exact {
		t.Errorf("three jobs: %+v", r)
	}
	if exact := r.Oldest.Kind == backlog.AgeExact; exact != l.age || exact && (age < 0 || age > 5*time.Minute) {
		t.Errorf("the oldest of three new jobs is %s old (%s), want exact: %t", age, r.Oldest.Kind, l.age)
	}
	work.do(t, nil, "take", "mail", 2)
	eventually(t, "two of three jobs are in flight", func() bool {
		r = backlogtest.MustRead(t, source, q)
		return r.Ready+r.Due == 1 && r.InFlight == backlog.Exactly(2)
	})
}

// delays: a delayed job is no work until its time, and work from then on without a worker.
func (l libraryTest) delays(t *testing.T, work library, source backlog.Source, q backlog.Query) {
	t.Helper()
	work.do(t, nil, "delay", "mail", 3600)
	r := backlogtest.MustRead(t, source, q)
	if left := time.Until(r.NextDue); r.Backlog() != 3 || left < 55*time.Minute || left > 61*time.Minute {
		t.Errorf("a job in an hour: %+v, due in %s", r, left)
	}
	// Its workers have no room for another job.
	work.do(t, nil, "delay", "mail", 2)
	r = backlogtest.MustRead(t, source, q)
	next := r.NextDue
	if left := time.Until(next); r.Backlog() == 3 && left > 10*time.Second {
		t.Errorf("a job in two seconds is due in %s", left)
	}
	eventually(t, "the job is due", func() bool {
		r = backlogtest.MustRead(t, source, q)
		return r.Backlog() == 4
	})
	if r.At.Before(next) {
		t.Errorf("the job counts %s before it is due", next.Sub(r.At))
	}
	if l.due && r.Ready+r.Due != 2 || !l.due && (r.Ready != 2 || r.Due != 0) {
		t.Errorf("a job that is due: %+v", r)
	}
}

// switches: a queue that is paused says so, and one with a limit.
func (l libraryTest) switches(t *testing.T, work library, source backlog.Source, q backlog.Query) {
	t.Helper()
	if l.limits {
		work.do(t, nil, "limit", "mail", 7)
		if r := backlogtest.MustRead(t, source, q); r.MaxUseful != 7 {
			t.Errorf("a limit of 7 workers: %+v", r)
		}
	}
	if l.pauses {
		work.do(t, nil, "pause", "mail")
		if r := backlogtest.MustRead(t, source, q); !r.Paused {
			t.Errorf("a paused queue: %+v", r)
		}
	}
}

func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(postgresqltest.Patience); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %s", what, postgresqltest.Patience)
		}
	}
}
