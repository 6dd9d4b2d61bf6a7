package postgresql_test

import (
	"maps"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/postgresql"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/postgresql/postgresqltest"
)

// TestConformance holds the engine to the suite, on each server: frameworks whose database notifies,
// those whose clients do, and those that are polled.
func TestConformance(t *testing.T) {
	t.Parallel()
	for _, version := range postgresqltest.Versions(t) {
		t.Run(version.Name, func(t *testing.T) {
			t.Parallel()
			server := postgresqltest.Start(t, version, "-c", "max_connections=300")
			t.Run("listen", func(t *testing.T) {
				t.Parallel()
				exercise(t, server.Database(t), nil, true, true, databaseNotifies())
			})
			t.Run("clients notify", func(t *testing.T) {
				t.Parallel()
				exercise(t, server.Database(t), nil, true, false, clientsNotify())
			})
			t.Run("poll", func(t *testing.T) {
				t.Parallel()
				frameworks := append(append(databaseNotifies(), clientsNotify()...), silent()...)
				exercise(t, server.Database(t), map[string]any{"wakeUp": "poll"}, false, false, frameworks)
			})
		})
	}
}

func exercise(t *testing.T, database *postgresqltest.Database, more map[string]any, wakes, confirms bool, frameworks []framework) {
	t.Helper()
	h := backlogtest.Harness{
		Engine:  postgresql.Engine(),
		Address: database.Server.Addr(),
		Connection: func(address string) backlog.Connection {
			settings := map[string]any{"addresses": []string{address}, "dialTimeout": time.Minute, "statementTimeout": time.Minute}
			maps.Copy(settings, more)
			return connection(database, settings)
		},
		Wakes: wakes, Confirms: confirms,
	}
	for _, f := range frameworks {
		h.Cases = append(h.Cases, f.start(t, database))
	}
	backlogtest.Exercise(t, h)
}

// connection returns a connection to a database, as the superuser.
func connection(database *postgresqltest.Database, more map[string]any) backlog.Connection {
	settings := map[string]any{"addresses": []string{database.Server.Addr()}, "database": database.Name, "username": "postgres"}
	maps.Copy(settings, more)
	return backlog.Connection{Name: "jobs", Engine: "postgresql", Settings: backlog.NewSettings(settings)}
}
