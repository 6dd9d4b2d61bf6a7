package postgresql_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/postgresql"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/postgresql/postgresqltest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
)

// leastRights: a user without rights is denied, and each error names the grant that is missing. With
// these grants, and no others, the layouts read, and what they read is armed.
func leastRights(t *testing.T, server *postgresqltest.Server) {
	t.Helper()
	database := server.Database(t)
	user := "reader_" + database.Name
	database.Run(t, "CREATE ROLE "+user+" LOGIN; REVOKE ALL ON SCHEMA public FROM PUBLIC;"+
		ownSchema("oban")(t)+ownSchema("goodjob")(t)+ownSchema("solidqueue")(t)+ownSchema("bullmq")(t))
	pgmq, err := filepath.Glob(layouttest.Installed(t, "pgmq", "venv") + "/lib/python3*/site-packages/pgmq/sql/pgmq.sql")
	if err != nil || len(pgmq) != 1 {
		t.Fatal(pgmq, err)
	}
	functions, err := os.ReadFile(pgmq[0])
	if err != nil {
		t.Fatal(err)
	}
	database.Run(t, string(functions))
	database.Run(t, "SELECT pgmq.create('q'); SELECT pgmq.enable_notify_insert('q', 0); SELECT pgmq.send('q', '{}')")
	source := backlogtest.Open(t, postgresql.Engine(), connection(database, map[string]any{"username": user}))
	granted := map[string]string{}
	for _, layout := range []string{"oban", "goodJob", "solidQueue", "bullmqPg", "pgmq"} {
		granted[layout] = grantUntilRead(t, database, source, layout)
	}
	want := map[string]string{
		"oban":       "USAGE public, SELECT oban_jobs",
		"goodJob":    "SELECT good_jobs",
		"solidQueue": "SELECT solid_queue_claimed_executions, SELECT solid_queue_jobs, SELECT solid_queue_pauses, SELECT solid_queue_ready_executions, SELECT solid_queue_scheduled_executions",
		"bullmqPg":   "USAGE bullmq, SELECT job, SELECT meta",
		"pgmq":       "USAGE pgmq, SELECT meta, SELECT pgmq.q_q",
	}
	for layout, grants := range want {
		if !sameGrants(granted[layout], grants) {
			t.Errorf("%s needed %s, want %s", layout, granted[layout], grants)
		}
	}
	if r := backlogtest.Read(t, source, query("pgmq", "q"))[0]; r.Armed || r.Reading.Ready != 1 || r.Reading.Enqueued.Known {
		t.Errorf("pgmq without the rights to its throttle and sequence: %+v, want 1, not armed and no counter", r)
	}
	// Another queue's table is another right, and a table of rows that are hidden is none.
	database.Run(t, "SELECT pgmq.create('denied'); SELECT pgmq.create('hidden'); GRANT SELECT ON pgmq.q_hidden TO "+user+"; ALTER TABLE pgmq.q_hidden ENABLE ROW LEVEL SECURITY")
	results := backlogtest.Read(t, source, query("pgmq", "denied"), query("pgmq", "q"), query("pgmq", "hidden"))
	if !errors.Is(results[0].Err, backlog.ErrDenied) || !errors.Is(results[2].Err, backlog.ErrDenied) || results[1].Err != nil || results[1].Reading.Ready != 1 {
		t.Errorf("two queues that are denied and one that is not: %+v, want 1 for it", results)
	}
	if _, change := backlog.Advice(results[0].Err); !strings.Contains(change, "GRANT SELECT ON pgmq.q_denied TO "+user) {
		t.Errorf("the advice for a table that may not be read is %q, want its grant", change)
	}
	database.Run(t, "GRANT SELECT ON pgmq.notify_insert_throttle, pgmq.q_q_msg_id_seq TO "+user)
	wakeups := backlogtest.Listen(t, source)
	backlogtest.Arm(t, source, wakeups, query("pgmq", "q"), query("bullmqPg", "q"))
	if r := backlogtest.MustRead(t, source, query("pgmq", "q")); r.Enqueued != backlog.Exactly(1) {
		t.Errorf("the counter is %+v, want 1", r.Enqueued)
	}
}

func sameGrants(a, b string) bool {
	count := map[string]int{}
	for grant := range strings.SplitSeq(a, ", ") {
		count[grant]++
	}
	for grant := range strings.SplitSeq(b, ", ") {
		count[grant]--
	}
	for _, n := range count {
		if n != 0 {
			return false
		}
	}
	return true
}

// grantUntilRead grants what each error asks for until a layout reads, and returns the grants.
func grantUntilRead(t *testing.T, database *postgresqltest.Database, source backlog.Source, layout string) string {
	t.Helper()
	schema := map[string]string{"bullmqPg": "bullmq", "pgmq": "pgmq"}[layout]
	var grants []string
	for range 10 {
		r := backlogtest.Read(t, source, query(layout, "q"))[0]
		if r.Err == nil {
			return strings.Join(grants, ", ")
		}
		_, change := backlog.Advice(r.Err)
		_, grant, found := strings.Cut(change, "GRANT ")
		if !errors.Is(r.Err, backlog.ErrDenied) || !found {
			t.Fatalf("%s: %v, want ErrDenied with a grant", layout, r.Err)
		}
		var kind, name string
		if _, err := fmt.Sscanf(strings.Replace(grant, "ON SCHEMA ", "ON ", 1), "%s ON %s", &kind, &name); err != nil {
			t.Fatal(grant, err)
		}
		grants = append(grants, kind+" "+name)
		if schema != "" && kind == "SELECT" && !strings.Contains(name, ".") {
			// The server names the table alone.
			grant = strings.Replace(grant, " ON ", " ON "+schema+".", 1)
		}
		database.Run(t, "GRANT "+grant)
	}
	t.Fatalf("%s is not read with %v", layout, grants)
	return ""
}

// hiddenRows: a count of the rows that row-level security leaves is no count, neither for a framework,
// nor for the SQL of a user, nor through a view whose owner does not see them.
func hiddenRows(t *testing.T, server *postgresqltest.Server) {
	t.Helper()
	database := server.Database(t)
	user := "reader_" + database.Name
	database.Run(t, "CREATE ROLE "+user+" LOGIN;"+ownSchema("oban")(t)+`
		INSERT INTO oban_jobs (queue, worker, args) VALUES ('q', 'w', '{}'); ALTER TABLE oban_jobs ENABLE ROW LEVEL SECURITY; GRANT SELECT ON oban_jobs TO `+user)
	source := backlogtest.Open(t, postgresql.Engine(), connection(database, map[string]any{"username": user}))
	r := backlogtest.Read(t, source, query("oban", "q"))[0]
	if !errors.Is(r.Err, backlog.ErrDenied) || !strings.Contains(r.Err.Error(), "BYPASSRLS") {
		t.Errorf("rows that are hidden: %+v, want ErrDenied with advice", r)
	}
	database.Run(t, "CREATE POLICY every ON oban_jobs FOR SELECT TO "+user+" USING (true)")
	if r := backlogtest.Read(t, source, query("oban", "q"))[0]; !errors.Is(r.Err, backlog.ErrDenied) {
		t.Errorf("a policy, whatever it shows: %+v, want ErrDenied", r)
	}
	database.Run(t, "GRANT CREATE ON SCHEMA public TO "+user+"; SET ROLE "+user+"; CREATE VIEW seen AS SELECT * FROM oban_jobs; RESET ROLE")
	for username, sql := range map[string]string{user: "SELECT count(*) FROM oban_jobs", "postgres": "SELECT count(*) FROM seen"} {
		source := backlogtest.Open(t, postgresql.Engine(), connection(database, map[string]any{"username": username, "allowQueries": true}))
		if r := backlogtest.Read(t, source, userQuery(sql))[0]; !errors.Is(r.Err, backlog.ErrDenied) || !strings.Contains(r.Err.Error(), "row-level security") {
			t.Errorf("%s as %s: %+v, want ErrDenied", sql, username, r)
		}
	}
	database.Run(t, "ALTER ROLE "+user+" BYPASSRLS")
	if r := backlogtest.MustRead(t, source, query("oban", "q")); r.Ready != 1 {
		t.Errorf("rows that are not hidden: %+v, want 1", r)
	}
}

// diagnosis: what is wrong at first contact has a remedy, and a secret appears nowhere.
func diagnosis(t *testing.T, server *postgresqltest.Server) {
	t.Helper()
	database := server.Database(t)
	user := "login_" + database.Name
	database.Run(t, "CREATE ROLE "+user+" LOGIN PASSWORD 'right'; CREATE ROLE nologin_"+database.Name)
	server.Rules(t, "host "+database.Name+" "+user+" 127.0.0.1/32 scram-sha-256\nhostssl "+database.Name+" encrypted 127.0.0.1/32 trust\nhostnossl "+database.Name+" encrypted 127.0.0.1/32 reject")
	for name, one := range map[string]struct {
		settings map[string]any
		err      error
		want     string
	}{
		"no password":    {map[string]any{"username": user}, backlog.ErrDenied, "username and password"},
		"wrong password": {map[string]any{"username": user, "password": backlog.NewSecret("s3cret-wrong")}, backlog.ErrDenied, "change: username and password"},
		"right password": {map[string]any{"username": user, "password": backlog.NewSecret("right")}, nil, ""},
		"unknown user":   {map[string]any{"username": "nobody_here"}, backlog.ErrDenied, "username: a role that the server has"},
		"no login":       {map[string]any{"username": "nologin_" + database.Name}, backlog.ErrDenied, "username: a role that the server has"},
		"no database":    {map[string]any{"database": "no_such"}, backlog.ErrMismatch, "change: database"},
		"no entry":       {map[string]any{"username": "encrypted"}, backlog.ErrDenied, "change: tls: true"},
		"no tls":         {map[string]any{"tls": true}, backlog.ErrUnavailable, "change: tls: false"},
		"refused":        {map[string]any{"addresses": []string{"127.0.0.1:1"}}, backlog.ErrUnavailable, "nothing listens there"},
		"no such name":   {map[string]any{"addresses": []string{"no-such-host.invalid:5432"}}, backlog.ErrUnavailable, "does not resolve"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source := backlogtest.Open(t, postgresql.Engine(), connection(database, one.settings))
			prober, ok := source.(backlog.Prober)
			if !ok {
				t.Fatal("the source does not verify its connection")
			}
			err := prober.Probe(t.Context())
			r := backlogtest.Read(t, source, query("oban", "q"))[0]
			if one.err == nil {
				if err != nil || !errors.Is(r.Err, backlog.ErrMismatch) {
					t.Errorf("%v, and a read gives %v, want ErrMismatch because there is no table", err, r.Err)
				}
				return
			}
			for _, got := range []error{err, r.Err} {
				if got == nil || !errors.Is(got, one.err) || !strings.Contains(got.Error(), one.want) {
					t.Errorf("%v, want %v with %q", got, one.err, one.want)
				}
				if got != nil && strings.Contains(got.Error(), "s3cret") {
					t.Errorf("%v has the password", got)
				}
			}
		})
	}
}
