package postgresqltest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
	"github.com/backlog-scaler/backlog-scaler/internal/childprocess/processtest"
)

// Rules puts lines before those of pg_hba.conf, which trust everyone, and makes the server use them.
func (s *Server) Rules(t testing.TB, lines string) {
	t.Helper()
	path := filepath.Join(s.data(), "pg_hba.conf")
	rules, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append([]byte(lines+"\n"), rules...), 0o600); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), s.URL("postgres", "postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context()) //nolint:errcheck // it has changed nothing
	if _, err := conn.Exec(t.Context(), "SELECT pg_reload_conf()"); err != nil {
		t.Fatal(err)
	}
	// The server reads them when it handles the signal.
	err = childprocess.Poll(t.Context(), "the rules", Patience, 10*time.Millisecond, func(ctx context.Context) error {
		var loaded time.Time
		if err := conn.QueryRow(ctx, "SELECT pg_conf_load_time()").Scan(&loaded); err != nil {
			return err
		}
		if time.Since(loaded) > time.Second {
			return fmt.Errorf("loaded at %s", loaded)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// StartStandby starts a standby of the server, which follows it.
func (s *Server) StartStandby(t testing.TB) *Server {
	t.Helper()
	standby := &Server{version: s.version, args: s.args}
	standby.Freezer = processtest.NewFreezer(standby.Signal)
	t.Cleanup(standby.Close)
	if err := standby.makeDir(); err != nil {
		t.Fatal(err)
	}
	backup := s.command(t.Context(), "pg_basebackup", "-h", "127.0.0.1", "-p", strconv.Itoa(s.port), "-U", "postgres", "-D", standby.data(), "-R", "-c", "fast", "-X", "stream", "--no-sync")
	if output, err := backup.CombinedOutput(); err != nil {
		t.Fatalf("pg_basebackup: %v\n%s", err, output)
	}
	ports, err := childprocess.FreePorts("127.0.0.1", 1)
	if err != nil {
		t.Fatal(err)
	}
	standby.port = ports[0]
	if err := standby.launch(t.Context()); err != nil {
		t.Fatal(err)
	}
	return standby
}

// Promote makes a standby a primary.
func (s *Server) Promote(t testing.TB) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.URL("postgres", "postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context()) //nolint:errcheck // there is nothing to be lost
	if _, err := conn.Exec(t.Context(), "SELECT pg_promote()"); err != nil {
		t.Fatal(err)
	}
}
