package postgresqltest

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
)

// pooler is the configuration of PgBouncer: https://www.pgbouncer.org/config.html. It knows no
// passwords, and one server connection serves all clients of a database.
const pooler = `[databases]
* = host=127.0.0.1 port=%d user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
auth_type = any
unix_socket_dir =
pool_mode = %s
default_pool_size = 1
`

// StartPgBouncer starts a PgBouncer in front of the server, and returns its "host:port". mode is such
// as "transaction". All clients are the user "postgres" to the server.
func (s *Server) StartPgBouncer(t testing.TB, mode string) string {
	t.Helper()
	path := filepath.Join(servers(), "pgbouncer", "usr", "sbin", "pgbouncer")
	if _, err := os.Stat(path); err != nil {
		if path, err = exec.LookPath("pgbouncer"); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("find pgbouncer: %v; install it with hack/install-servers.sh", err)
			}
			t.Skip("pgbouncer is not installed: install it with hack/install-servers.sh")
		}
	}
	ports, err := childprocess.FreePorts("127.0.0.1", 1)
	if err != nil {
		t.Fatal(err)
	}
	owner, dir, err := ownDir()
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "pgbouncer.ini")
	if err := os.WriteFile(file, fmt.Appendf(nil, pooler, s.port, ports[0], mode), 0o644); err != nil {
		t.Fatal(err)
	}
	libraries, err := filepath.Glob(filepath.Join(servers(), "pgbouncer", "usr", "lib", "*-linux-gnu*"))
	if err != nil || len(libraries) == 0 {
		libraries = []string{""}
	}
	process, err := childprocess.Start(childprocess.Command{
		Path: path, Args: []string{file}, Dir: dir, User: owner, Env: []string{"LD_LIBRARY_PATH=" + libraries[0]},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(process.Kill)
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[0]))
	err = childprocess.Poll(t.Context(), "PgBouncer", Patience, 5*time.Millisecond, func(ctx context.Context) error {
		config, err := pgx.ParseConfig(fmt.Sprintf("postgres://postgres@%s/postgres?sslmode=disable&default_query_exec_mode=exec", address))
		if err != nil {
			return err
		}
		conn, err := pgx.ConnectConfig(ctx, config)
		if err != nil {
			return err
		}
		return conn.Close(ctx)
	})
	if err != nil {
		t.Fatal(err)
	}
	return address
}
