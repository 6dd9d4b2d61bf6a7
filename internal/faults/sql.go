package faults

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/mysql/mysqltest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/postgresql/postgresqltest"
)

// A table is the queue of a framework in a database, and what the dialects of SQL say in ways of their own.
type table struct {
	metadata map[string]string
	// add adds a job, and empty removes all.
	add, empty string
	// grant and revoke are the rights of the user, lock demands the password and ends its connections.
	grant, revoke string
	lock          func(password string) string
}

// A database is what runs statements.
type database interface {
	Try(ctx context.Context, statements string) error
}

// A sqlServer is a server that can be disturbed.
type sqlServer interface {
	Freeze(t testing.TB)
	Thaw(t testing.TB)
	Kill()
	Restart(t testing.TB)
}

func must(t testing.TB, d database, statements string) {
	t.Helper()
	if err := d.Try(context.WithoutCancel(t.Context()), statements); err != nil {
		t.Fatalf("%s: %v", statements, err)
	}
}

// put returns what adds jobs.
func (q table) put(in func() database) func(testing.TB, int) {
	return func(t testing.TB, n int) {
		t.Helper()
		must(t, in(), strings.Repeat(q.add+";", n))
	}
}

// causes are the faults of a server. reconnect renews the connections of the test.
func (q table) causes(server sqlServer, in database, s *secret, proxy *backlogtest.Proxy, reconnect func()) map[Fault]Cause {
	return map[Fault]Cause{
		Down: func(t testing.TB) func() {
			t.Helper()
			server.Kill()
			return func() {
				server.Restart(t)
				reconnect()
			}
		},
		Frozen: frozen(func() freezer { return server }),
		Emptied: emptied(func(t testing.TB) {
			t.Helper()
			server.Kill()
			server.Restart(t)
			reconnect()
			must(t, in, q.empty)
		}, proxy),
		Password: func(t testing.TB) func() {
			t.Helper()
			s.change()
			must(t, in, q.lock(s.value()))
			return func() { s.write(t) }
		},
		Permission: func(t testing.TB) func() {
			t.Helper()
			must(t, in, q.revoke)
			return func() { must(t, in, q.grant) }
		},
	}
}

// oban is a queue of Oban in PostgreSQL.
func oban() table {
	return table{
		metadata: map[string]string{"oban": "jobs"},
		add:      "INSERT INTO oban_jobs (queue, worker, args) VALUES ('jobs', 'w', '{}')",
		empty:    "DELETE FROM oban_jobs",
		grant:    "GRANT SELECT ON ALL TABLES IN SCHEMA public TO " + user,
		revoke:   "REVOKE SELECT ON ALL TABLES IN SCHEMA public FROM " + user,
		lock: func(password string) string {
			return "ALTER ROLE " + user + " PASSWORD '" + password + "'; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '" + user + "'"
		},
	}
}

// obanDatabase makes a database with a queue of Oban, whose user logs in with a password.
func obanDatabase(t testing.TB, server *postgresqltest.Server, s *secret) *postgresqltest.Database {
	t.Helper()
	schema, err := os.ReadFile(filepath.Join("..", "backlog", "postgresql", "layout", "testdata", "schemas", "oban.sql"))
	if err != nil {
		t.Fatal(err)
	}
	d := server.Database(t)
	must(t, d, string(schema)+"; CREATE ROLE "+user+" LOGIN PASSWORD '"+s.value()+"'; "+oban().grant)
	server.Rules(t, "host all "+user+" 127.0.0.1/32 scram-sha-256")
	return d
}

// latest starts the latest PostgreSQL that is installed.
func latest(t testing.TB) (*postgresqltest.Server, string) {
	t.Helper()
	versions := postgresqltest.Versions(t)
	v := versions[len(versions)-1]
	return postgresqltest.Start(t, v), strings.Replace(v.Name, "postgresql-", "PostgreSQL ", 1)
}

// postgresServer is one PostgreSQL.
func postgresServer(t testing.TB) *Subject {
	t.Helper()
	s := newSecret(t)
	server, title := latest(t)
	d := obanDatabase(t, server, s)
	proxy := backlogtest.NewProxy(t, server.Addr())
	q := oban()
	return &Subject{
		Title: title,
		Connection: func() []string {
			return append(s.login(), addressList(proxy.Addr()), "database: "+d.Name)
		},
		Metadata: q.metadata,
		Put:      q.put(func() database { return d }),
		Proxies:  []*backlogtest.Proxy{proxy},
		// A row of data whose length is the largest that there is.
		Garbage: "D\x7f\xff\xff\xff\x00\x01\x7f\xff\xff\xff",
		Causes:  q.causes(server, d, s, proxy, d.Reconnect),
	}
}

// postgresStandby is a primary that its standby replaces.
func postgresStandby(t testing.TB) *Subject {
	t.Helper()
	s := newSecret(t)
	primary, _ := latest(t)
	d := obanDatabase(t, primary, s)
	standby := primary.StartStandby(t)
	q := oban()
	replica := standby.Open(t, d.Name)
	current, jobs := d, 0
	return &Subject{
		Title: "with a standby",
		Connection: func() []string {
			return append(s.login(), addressList(primary.Addr(), standby.Addr()), "target: primary", "database: "+d.Name)
		},
		Metadata: q.metadata,
		Put: func(t testing.TB, n int) {
			t.Helper()
			q.put(func() database { return current })(t, n)
			jobs += n
			await(t, "the standby has all jobs", func() bool {
				return replica.Text(t, "SELECT count(*) FROM oban_jobs") == strconv.Itoa(jobs)
			})
		},
		Causes: map[Fault]Cause{Failover: func(t testing.TB) func() {
			t.Helper()
			primary.Kill()
			return func() {
				standby.Promote(t)
				current = replica
			}
		}},
	}
}

// laravel is a queue of Laravel in MySQL.
func laravel(database string) table {
	grant := func(verb, to string) string { return verb + " SELECT ON " + database + ".* " + to + " " + user }
	return table{
		metadata: map[string]string{"laravel": "jobs"},
		add:      "INSERT INTO jobs (queue, payload, attempts, available_at, created_at) VALUES ('jobs', '{}', 0, UNIX_TIMESTAMP(), UNIX_TIMESTAMP())",
		empty:    "DELETE FROM jobs",
		grant:    grant("GRANT", "TO"),
		// A connection keeps its rights on the database that it has entered.
		revoke: grant("REVOKE", "FROM") + "; KILL USER " + user,
		lock: func(password string) string {
			return "ALTER USER " + user + " IDENTIFIED BY '" + password + "'; KILL USER " + user
		},
	}
}

// laravelDatabase makes a database with a queue of Laravel.
func laravelDatabase(t testing.TB, server *mysqltest.Server, s *secret) *mysqltest.Database {
	t.Helper()
	d := server.Database(t)
	must(t, d, "CREATE TABLE jobs (id bigint unsigned AUTO_INCREMENT PRIMARY KEY, queue varchar(255) NOT NULL, payload longtext NOT NULL, attempts tinyint unsigned NOT NULL, reserved_at int unsigned, available_at int unsigned NOT NULL, created_at int unsigned NOT NULL, KEY jobs_queue_index (queue))")
	must(t, d, "CREATE USER "+user+" IDENTIFIED BY '"+s.value()+"'")
	must(t, d, laravel(d.Name).grant)
	return d
}

// mysqlServer is one MariaDB.
func mysqlServer(t testing.TB) *Subject {
	t.Helper()
	s := newSecret(t)
	server := mysqltest.Start(t)
	d := laravelDatabase(t, server, s)
	proxy := backlogtest.NewProxy(t, server.Addr())
	q := laravel(d.Name)
	return &Subject{
		Title: "MariaDB",
		Connection: func() []string {
			return append(s.login(), "address: '"+proxy.Addr()+"'", "database: "+d.Name)
		},
		Metadata: q.metadata,
		Put:      q.put(func() database { return d }),
		Proxies:  []*backlogtest.Proxy{proxy},
		// A packet of the largest size, and its continuation.
		Garbage: "\xff\xff\xff\x01\xfe",
		Causes:  q.causes(server, d, s, proxy, func() {}),
	}
}

// mysqlSuccessor is a server whose address leads to another one with the same jobs, as a virtual IP or a
// proxy does it.
func mysqlSuccessor(t testing.TB) *Subject {
	t.Helper()
	s := newSecret(t)
	servers := []*mysqltest.Server{mysqltest.Start(t), mysqltest.Start(t)}
	var databases []*mysqltest.Database
	for _, server := range servers {
		databases = append(databases, laravelDatabase(t, server, s))
	}
	proxy := backlogtest.NewProxy(t, servers[0].Addr())
	q := laravel(databases[0].Name)
	down := false
	return &Subject{
		Title: "with a successor",
		Connection: func() []string {
			return append(s.login(), "address: '"+proxy.Addr()+"'", "database: "+databases[0].Name)
		},
		Metadata: q.metadata,
		Put: func(t testing.TB, n int) {
			t.Helper()
			for i, d := range databases {
				if i > 0 || !down {
					q.put(func() database { return d })(t, n)
				}
			}
		},
		Proxies: []*backlogtest.Proxy{proxy},
		Causes: map[Fault]Cause{Failover: func(testing.TB) func() {
			servers[0].Kill()
			down = true
			return func() { proxy.Redirect(servers[1].Addr()) }
		}},
	}
}
