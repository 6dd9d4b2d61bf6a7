// Package postgresqltest starts real PostgreSQL servers, and PgBouncer in front of them, for tests and
// benchmarks. Each listens on a loopback port of its own.
package postgresqltest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
	"github.com/backlog-scaler/backlog-scaler/internal/childprocess/processtest"
)

// Patience bounds the wait for what must happen. It is long because it passes only where something
// is wrong.
const Patience = time.Minute

// A Server is a running PostgreSQL. One goroutine uses its methods; several may use Database and Exec.
type Server struct {
	processtest.Freezer

	version Version
	// user runs the server; nil for the user of this process.
	user *syscall.Credential
	// dir belongs to the user of the server.
	dir     string
	port    int
	args    []string
	process *childprocess.Process
	names   atomic.Int64
}

// Start is Launch for one test.
func Start(t testing.TB, v Version, args ...string) *Server {
	t.Helper()
	s, err := Launch(t.Context(), v, args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// Launch starts a server that trusts every user of the loopback interface, and waits until it answers.
// args are further arguments, such as "-c", "max_connections=20". The caller closes it.
func Launch(ctx context.Context, v Version, args ...string) (s *Server, err error) {
	s = &Server{version: v, args: args}
	s.Freezer = processtest.NewFreezer(s.Signal)
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	if err := s.makeDir(); err != nil {
		return nil, err
	}
	initialise := s.command(ctx, "initdb", "-D", s.data(), "-A", "trust", "-U", "postgres", "--no-sync", "--locale=C", "-E", "UTF8")
	if output, err := initialise.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w\n%s", err, output)
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
	return nil, fmt.Errorf("start %s: %w", v.Name, err)
}

// makeDir makes a folder that belongs to the user of the server.
func (s *Server) makeDir() (err error) {
	s.user, s.dir, err = ownDir()
	return err
}

// ownDir returns the user of servers, and a new folder that belongs to it. The caller removes it.
func ownDir() (*syscall.Credential, string, error) {
	owner, err := serverUser()
	if err != nil {
		return nil, "", err
	}
	// That user cannot enter the folder of a test.
	dir, err := os.MkdirTemp("", "postgresqltest-")
	if err == nil && owner != nil {
		err = os.Chown(dir, int(owner.Uid), int(owner.Gid))
	}
	if err != nil {
		return nil, dir, fmt.Errorf("create the folder of a server: %w", err)
	}
	return owner, dir, nil
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// command returns a program of the server's version, to be run by its user.
func (s *Server) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, filepath.Join(s.version.bin, program), args...)
	command.SysProcAttr = &syscall.SysProcAttr{Credential: s.user}
	command.Dir = s.dir
	return command
}

// errExited is a server that does not start.
var errExited = errors.New("it has exited")

// launch starts the server and waits until it answers.
func (s *Server) launch(ctx context.Context) error {
	args := append([]string{
		"-D", s.data(), "-p", strconv.Itoa(s.port), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=" + s.dir,
		"-c", "fsync=off", "-c", "full_page_writes=off", "-c", "shared_buffers=32MB", "-c", "autovacuum=off",
	}, s.args...)
	process, err := childprocess.Start(childprocess.Command{
		Path: filepath.Join(s.version.bin, "postgres"), Args: args, Dir: s.dir, User: s.user,
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
	err = childprocess.Poll(ctx, "PostgreSQL", Patience, 5*time.Millisecond, func(ctx context.Context) error {
		conn, err := pgx.Connect(ctx, s.URL("postgres", "postgres"))
		if err != nil {
			return err
		}
		return conn.Close(ctx)
	})
	if err != nil {
		process.Kill()
	}
	return err
}

// Addr is the server's "host:port".
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// Dir is a folder in which its user may write.
func (s *Server) Dir() string { return s.dir }

// URL is where a user finds a database. "postgres" is a superuser and a database.
func (s *Server) URL(user, database string) string {
	return fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable", user, s.Addr(), database)
}

// Kill ends the server at once, as a crash does. The processes of its connections notice that and
// end too. It is idempotent.
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
	// The shared memory is in use until the last process of a connection is gone.
	return childprocess.Poll(ctx, "the restart of PostgreSQL", Patience, 20*time.Millisecond, s.launch)
}

// Restart is Relaunch for one test.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	if err := s.Relaunch(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// Signal sends a signal to the server and to its children: SIGSTOP and SIGCONT are Freeze and Thaw. The
// children are in process groups of their own, and a stopped server starts no more of them.
func (s *Server) Signal(sig syscall.Signal) error {
	if err := s.process.Signal(sig); err != nil {
		return err
	}
	children, err := childprocess.Children(s.process.PID())
	if err != nil {
		return err
	}
	for _, pid := range children {
		_ = syscall.Kill(pid, sig) // it may have ended
	}
	if sig == syscall.SIGSTOP {
		return childprocess.AwaitStopped(children...)
	}
	return nil
}
