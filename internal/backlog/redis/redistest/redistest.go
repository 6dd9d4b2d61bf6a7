// Package redistest starts real Redis and Valkey servers for tests: single ones,
// Sentinel and Cluster. Every server listens on a loopback port of its own, keeps its
// data in a folder of the test, and ends with the test.
package redistest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/tlsconfig/tlstest"
	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
)

// patience bounds the wait for a server to do what it was asked to. It is long because
// it passes only where something is wrong, and a busy machine takes its time.
const patience = 3 * time.Minute

// answerTime bounds the wait for one answer of a server that is starting.
const answerTime = 10 * time.Second

// A Server is one server process.
type Server struct {
	t      testing.TB
	binary string
	dir    string
	host   string
	port   int
	lines  []string
	args   []string
	secure *tlstest.Certificates
	client *redis.Client

	// mu guards process: tests may kill and restart from several goroutines.
	mu      sync.Mutex
	process *exec.Cmd
	exited  chan struct{}
}

// An Option changes how a server is started.
type Option func(*Server)

// WithVersion starts the server of v instead of the redis-server on the PATH.
func WithVersion(v Version) Option { return func(s *Server) { s.binary = v.Path } }

// SameVersion starts the server of the version that other is of.
func SameVersion(other *Server) Option { return func(s *Server) { s.binary = other.binary } }

// WithConfig adds lines to the server's configuration file, such as an ACL user:
// "user scaler on >secret ~* +@all".
func WithConfig(lines ...string) Option {
	return func(s *Server) { s.lines = append(s.lines, lines...) }
}

// WithAppendOnly makes what is written survive Kill and Restart.
func WithAppendOnly() Option { return WithConfig("appendonly yes", "appendfsync always") }

// WithTLS makes the server speak TLS only and demand a client certificate; see
// Server.Certificates.
func WithTLS() Option { return func(s *Server) { s.secure = tlstest.New(s.t, s.dir, "scaler") } }

// Start starts a server and waits until it answers. In a short run it skips the test.
func Start(t testing.TB, options ...Option) *Server {
	t.Helper()
	return start(t, nil, options)
}

func start(t testing.TB, args []string, options []Option) *Server {
	t.Helper()
	skipShort(t)
	s := &Server{t: t, dir: t.TempDir(), host: "127.0.0.1", args: args}
	for _, o := range options {
		o(s)
	}
	if s.binary == "" {
		s.binary = Program(t)
	}
	t.Cleanup(func() {
		if s.client != nil {
			_ = s.client.Close()
		}
		s.Kill()
	})
	// Another process may take the port between the choice and the start.
	var err error
	for range 5 {
		s.port = freePort(t)
		if err = s.launch(); err == nil {
			break
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	s.client = s.NewClient(func(*redis.Options) {})
	return s
}

// Program returns the path of the redis-server on the PATH. In a short run it skips the test.
func Program(t testing.TB) string {
	t.Helper()
	skipShort(t)
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatalf("find redis-server: %v; install it with hack/install-servers.sh", err)
	}
	return path
}

// skipShort skips a test that needs a server if the run is a short one: "make test-short".
func skipShort(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("servers are not started in a short run")
	}
}

// Addr is the server's "host:port".
func (s *Server) Addr() string { return net.JoinHostPort(s.host, strconv.Itoa(s.port)) }

// Client is a client with all rights, closed with the test. It never retries.
func (s *Server) Client() *redis.Client { return s.client }

// Certificates are those of a server started WithTLS.
func (s *Server) Certificates() *tlstest.Certificates { return s.secure }

// NewClient returns a further client, closed with the test. It never retries.
func (s *Server) NewClient(change func(*redis.Options)) *redis.Client {
	options := &redis.Options{
		Addr: s.Addr(), MaxRetries: -1, DialerRetries: 1, Protocol: 2, DisableIdentity: true,
		DialTimeout: patience, ReadTimeout: patience, ContextTimeoutEnabled: true,
	}
	if s.secure != nil {
		options.TLSConfig = s.secure.Client
	}
	change(options)
	client := redis.NewClient(options)
	s.t.Cleanup(func() { _ = client.Close() })
	return client
}

// Do runs a command with all rights and fails the test if the server refuses it.
func (s *Server) Do(args ...any) any {
	s.t.Helper()
	value, err := s.client.Do(s.t.Context(), args...).Result()
	if err != nil && err != redis.Nil { //nolint:errorlint // go-redis returns the bare value
		s.t.Fatalf("%v: %v", args, err)
	}
	return value
}

// Kill ends the server at once, as a crash would. It is idempotent.
func (s *Server) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil {
		return
	}
	_ = s.process.Process.Signal(syscall.SIGCONT)
	_ = s.process.Process.Kill()
	<-s.exited
	s.process = nil
}

// Restart ends the server and starts it again on the same port. What it held is
// there again only if it was started WithAppendOnly.
func (s *Server) Restart() {
	s.t.Helper()
	s.Kill()
	if err := s.launch(); err != nil {
		s.t.Fatal(err)
	}
}

// RestartEmpty ends the server and starts it again on the same port without its data.
func (s *Server) RestartEmpty() {
	s.t.Helper()
	s.Kill()
	for _, pattern := range []string{"*.rdb", "*.aof", "appendonlydir"} {
		found, _ := filepath.Glob(filepath.Join(s.dir, pattern))
		for _, path := range found {
			if err := os.RemoveAll(path); err != nil {
				s.t.Fatal(err)
			}
		}
	}
	if err := s.launch(); err != nil {
		s.t.Fatal(err)
	}
}

// Freeze stops the process: its port still accepts connections, and nothing answers.
func (s *Server) Freeze() { s.signal(syscall.SIGSTOP) }

// Thaw lets a frozen server go on.
func (s *Server) Thaw() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(sig os.Signal) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil {
		s.t.Fatal("the server does not run")
	}
	if err := s.process.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
	if sig != syscall.SIGSTOP {
		return
	}
	if err := childprocess.AwaitStopped(s.process.Process.Pid); err != nil {
		s.t.Fatal(err)
	}
}

// launch starts the process and waits until it answers.
func (s *Server) launch() error {
	path := filepath.Join(s.dir, "redis.conf")
	if err := os.WriteFile(path, []byte(s.config()), 0o600); err != nil {
		return fmt.Errorf("write the server's configuration: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	output := new(bytes.Buffer)
	process := exec.Command(s.binary, append([]string{path}, s.args...)...) //nolint:noctx // a test's own server, ended by Kill
	process.Dir = s.dir
	process.Stdout, process.Stderr = output, output
	if err := process.Start(); err != nil {
		return fmt.Errorf("start %s: %w", s.binary, err)
	}
	exited := make(chan struct{})
	go func() {
		_ = process.Wait()
		close(exited)
	}()
	if err := s.awaitAnswer(process.Process.Pid, exited); err != nil {
		_ = process.Process.Kill()
		<-exited
		return fmt.Errorf("start %s on %s: %w\n%s", s.binary, s.Addr(), err, output)
	}
	s.process, s.exited = process, exited
	return nil
}

func (s *Server) config() string {
	port := "port " + strconv.Itoa(s.port)
	if c := s.secure; c != nil {
		port = "port 0\ntls-" + port + "\ntls-cert-file " + c.ServerCert + "\ntls-key-file " + c.ServerKey +
			"\ntls-ca-cert-file " + c.CA.Path + "\ntls-auth-clients yes"
	}
	base := []string{"bind " + s.host, port, "dir " + s.dir, `save ""`, "daemonize no", "protected-mode no"}
	return strings.Join(append(base, s.lines...), "\n") + "\n"
}

// awaitAnswer waits until the server accepts connections and has loaded its data.
func (s *Server) awaitAnswer(pid int, exited <-chan struct{}) error {
	deadline := time.Now().Add(patience)
	for {
		err := s.answers(pid)
		if err == nil {
			return nil
		}
		select {
		case <-exited:
			return fmt.Errorf("the server has ended: %w", err)
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return err
		}
	}
}

// answers returns nil if it is the process pid that answers, and not another server that
// has taken the port.
func (s *Server) answers(pid int) error {
	// The client library would log each port that is not open yet.
	probe, err := net.DialTimeout("tcp", s.Addr(), answerTime) //nolint:noctx // bounded
	if err != nil {
		return err
	}
	_ = probe.Close()
	options := &redis.Options{Addr: s.Addr(), MaxRetries: -1, DialerRetries: 1, PoolSize: 1, DisableIdentity: true, Protocol: 2, ReadTimeout: answerTime}
	if s.secure != nil {
		options.TLSConfig = s.secure.Client
	}
	client := redis.NewClient(options)
	defer func() { _ = client.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), answerTime)
	defer cancel()
	if err = client.Ping(ctx).Err(); err == nil {
		var info string
		info, err = client.Info(ctx, "server").Result()
		if err == nil && !strings.Contains(info, fmt.Sprintf("\r\nprocess_id:%d\r\n", pid)) {
			return errors.New("another server answers")
		}
	}
	if err != nil && (strings.HasPrefix(err.Error(), "NOAUTH") || strings.HasPrefix(err.Error(), "NOPERM")) {
		return nil
	}
	return err
}
