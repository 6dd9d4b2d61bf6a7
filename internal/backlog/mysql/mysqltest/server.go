// Package mysqltest starts a real MariaDB for tests and benchmarks. It listens on a loopback port of its
// own.
package mysqltest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
	"github.com/backlog-scaler/backlog-scaler/internal/childprocess/processtest"
)

// Patience bounds the wait for what must happen. It is long because it passes only where something
// is wrong.
const Patience = time.Minute

// errExited is a server that does not start.
var errExited = errors.New("it has exited")

// A Server is a running MariaDB, whose user root has no password.
type Server struct {
	processtest.Freezer

	// root is the folder of its programs and texts, and dir belongs to the user of the server.
	root, dir string
	// user runs the server; nil for the user of this process.
	user    *syscall.Credential
	port    int
	process *childprocess.Process
	names   atomic.Int64
}

// Start is Launch for one test. In a short run it skips the test, and also where MariaDB is not installed,
// except in CI.
func Start(t testing.TB) *Server {
	t.Helper()
	if testing.Short() {
		t.Skip("servers are not started in a short run")
	}
	s, err := Launch(t.Context())
	switch {
	case err == nil:
		t.Cleanup(s.Close)
		return s
	case errors.Is(err, os.ErrNotExist) && os.Getenv("CI") != "true":
		t.Skip(err)
	default:
		t.Fatal(err)
	}
	return nil
}

// Launch starts a server and waits until it answers. The caller closes it. The error is one of
// os.ErrNotExist where MariaDB is not installed.
func Launch(ctx context.Context) (s *Server, err error) {
	root, err := installed()
	if err != nil {
		return nil, err
	}
	s = &Server{root: root}
	s.Freezer = processtest.NewFreezer(s.Signal)
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	if s.user, err = serverUser(); err != nil {
		return nil, err
	}
	// The user of the server cannot enter the folder of a test.
	if s.dir, err = os.MkdirTemp("", "mysqltest-"); err != nil {
		return nil, fmt.Errorf("create the folder of MariaDB: %w", err)
	}
	if s.user != nil {
		if err := os.Chown(s.dir, int(s.user.Uid), int(s.user.Gid)); err != nil {
			return nil, fmt.Errorf("create the folder of MariaDB: %w", err)
		}
	}
	if err := s.install(ctx); err != nil {
		return nil, err
	}
	// Another process may take the port between the choice and the start.
	for range 5 {
		var ports []int
		if ports, err = childprocess.FreePorts("127.0.0.1", 1); err != nil {
			return nil, err
		}
		s.port = ports[0]
		if err = s.launch(ctx); err == nil {
			return s, nil
		}
	}
	return nil, fmt.Errorf("start MariaDB: %w", err)
}

// install makes the folder of data.
func (s *Server) install(ctx context.Context) error {
	install := exec.CommandContext(ctx, filepath.Join(s.root, "bin", "mariadb-install-db"), "--no-defaults", "--basedir="+s.root,
		"--datadir="+s.data(), "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve")
	install.Env = append(install.Environ(), s.environment()...)
	install.Dir = s.dir
	install.SysProcAttr = &syscall.SysProcAttr{Credential: s.user}
	if output, err := install.CombinedOutput(); err != nil {
		return fmt.Errorf("mariadb-install-db: %w\n%s", err, output)
	}
	return nil
}

// installed returns the folder of MariaDB's programs: those that hack/install-servers.sh has unpacked.
// Tests run in the folder of their package, which may be in a module below.
func installed() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		root := filepath.Join(dir, ".tools", "servers", "mariadb", "usr")
		_, err := os.Stat(filepath.Join(root, "sbin", "mariadbd"))
		switch {
		case err == nil:
			return root, nil
		case dir == filepath.Dir(dir):
			return "", fmt.Errorf("find MariaDB: %w; install it with hack/install-servers.sh", err)
		}
	}
}

// unprivileged is the id of the user without rights on Linux.
const unprivileged = "65534"

// serverUser is the user of the server, because it refuses root; nil if root does not start it.
func serverUser() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	account, err := user.LookupId(unprivileged)
	if err != nil {
		return nil, fmt.Errorf("find a user for MariaDB: %w", err)
	}
	uid, uidErr := strconv.ParseUint(account.Uid, 10, 32)
	gid, gidErr := strconv.ParseUint(account.Gid, 10, 32)
	if err := errors.Join(uidErr, gidErr); err != nil {
		return nil, fmt.Errorf("find a user for MariaDB: %w", err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// environment returns the variables of the programs: where their libraries are, and a folder of their
// own for temporary tables. A server that starts deletes all of those in its folder.
func (s *Server) environment() []string {
	folders, _ := filepath.Glob(filepath.Join(s.root, "lib", "*-linux-gnu*")) // fails only for a bad pattern
	return []string{"LD_LIBRARY_PATH=" + strings.Join(folders, ":"), "TMPDIR=" + s.dir}
}

// launch starts the server and waits until it answers.
func (s *Server) launch(ctx context.Context) error {
	process, err := childprocess.Start(childprocess.Command{
		Path: filepath.Join(s.root, "sbin", "mariadbd"),
		Args: []string{
			"--no-defaults", "--basedir=" + s.root, "--datadir=" + s.data(), "--port=" + strconv.Itoa(s.port), "--bind-address=127.0.0.1",
			"--socket=" + filepath.Join(s.dir, "s"), "--pid-file=" + filepath.Join(s.dir, "pid"), "--innodb-flush-log-at-trx-commit=2",
			"--innodb-buffer-pool-size=32M", "--skip-name-resolve", "--default-time-zone=-05:00", "--max-connections=200",
		},
		Dir: s.dir, User: s.user, Env: s.environment(),
	})
	if err != nil {
		return err
	}
	s.process = process
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-process.Exited():
			cancel(errExited)
		case <-ctx.Done():
		}
	}()
	err = childprocess.Poll(ctx, "MariaDB", Patience, 10*time.Millisecond, func(ctx context.Context) error {
		db, err := s.open("", false)
		if err != nil {
			return err
		}
		defer db.Close() //nolint:errcheck // there is nothing to be lost
		return db.PingContext(ctx)
	})
	if err != nil {
		process.Kill()
	}
	return err
}

// open returns connections of root to a database.
func (s *Server) open(database string, several bool) (*sql.DB, error) {
	config := mysql.NewConfig()
	config.User, config.Net, config.Addr, config.DBName, config.MultiStatements = "root", "tcp", s.Addr(), database, several
	config.Logger = &mysql.NopLogger{}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

// Addr is the server's "host:port".
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// Kill ends the server at once, as a crash does. It is idempotent.
func (s *Server) Kill() {
	if s.process != nil {
		s.process.Kill()
	}
}

// Close ends the server and removes its data. It is idempotent.
func (s *Server) Close() {
	s.Kill()
	_ = os.RemoveAll(s.dir) // a folder of the system's own for temporary files
}

// Relaunch kills the server and starts it again with its data, at the same address.
func (s *Server) Relaunch(ctx context.Context) error {
	s.Kill()
	return s.launch(ctx)
}

// Restart is Relaunch for one test.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	if err := s.Relaunch(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// Signal sends a signal to the server: SIGSTOP and SIGCONT are Freeze and Thaw.
func (s *Server) Signal(signal syscall.Signal) error { return s.process.Signal(signal) }

// A Database is a new database of a server. Several goroutines may use it.
type Database struct {
	Name string
	// Server is where it is.
	Server *Server
	db     *sql.DB
}

// Database creates a database, which the test's own connections enter as root.
func (s *Server) Database(t testing.TB) *Database {
	t.Helper()
	d := &Database{Name: fmt.Sprintf("db%d", s.names.Add(1)), Server: s}
	db, err := s.open("", false)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // there is nothing to be lost
	if _, err := db.ExecContext(t.Context(), "CREATE DATABASE "+d.Name+" CHARACTER SET utf8mb4"); err != nil {
		t.Fatal(err)
	}
	if d.db, err = s.open(d.Name, true); err != nil {
		t.Fatal(err)
	}
	d.db.SetMaxOpenConns(4)
	t.Cleanup(func() { _ = d.db.Close() })
	return d
}

// Run runs a text of several statements, which must succeed.
func (d *Database) Run(t testing.TB, statements string, args ...any) {
	t.Helper()
	if _, err := d.db.ExecContext(t.Context(), statements, args...); err != nil {
		line, _, _ := strings.Cut(strings.TrimSpace(statements), "\n")
		t.Fatalf("%s: %v", line, err)
	}
}

// Try runs a text of several statements as one transaction.
func (d *Database) Try(ctx context.Context, statements string) error {
	tx, err := d.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // it fails after Commit
	if _, err := tx.ExecContext(ctx, statements); err != nil {
		return err
	}
	return tx.Commit()
}

// Text returns the only column of the only row that a statement yields, as a text.
func (d *Database) Text(t testing.TB, statement string, args ...any) string {
	t.Helper()
	var text string
	if err := d.db.QueryRowContext(t.Context(), statement, args...).Scan(&text); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	return text
}
