package postgresqltest

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// TestServer: each version starts, keeps its data over a restart, and answers nothing while frozen.
func TestServer(t *testing.T) {
	t.Parallel()
	for _, v := range Versions(t) {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			server := Start(t, v)
			t.Logf("%s is %s", v.Name, server.Database(t).Text(t, "version()"))
			database := server.Database(t)
			database.Exec(t, "CREATE TABLE kept AS SELECT 7 AS n")
			server.Restart(t)
			conn, err := pgx.Connect(t.Context(), database.URL("postgres"))
			if err != nil {
				t.Fatal(err)
			}
			var n int
			if err := conn.QueryRow(t.Context(), "SELECT n FROM kept").Scan(&n); err != nil || n != 7 {
				t.Errorf("after a restart the table has %d (%v), want 7", n, err)
			}
			server.Freeze(t)
			for _, statement := range []string{"SELECT 1", "SELECT 2"} {
				bounded, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
				if _, err := conn.Exec(bounded, statement); err == nil {
					t.Errorf("a frozen server answers %s", statement)
				}
				cancel()
			}
			server.Thaw(t)
			if again := server.Database(t).Text(t, "1"); again != "1" {
				t.Errorf("after a freeze the server answers %q, want 1", again)
			}
			if address := server.StartPgBouncer(t, "transaction"); address == server.Addr() {
				t.Error("the pooler has the address of the server")
			}
		})
	}
}
