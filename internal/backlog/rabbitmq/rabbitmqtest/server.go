// Package rabbitmqtest starts real servers of RabbitMQ for tests and benchmarks: one node or a cluster, of each version
// that hack/install-servers.sh has unpacked. Each node listens on loopback ports of its own.
package rabbitmqtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/tlsconfig/tlstest"
	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
	"github.com/backlog-scaler/backlog-scaler/internal/childprocess/processtest"
)

// Patience bounds the wait for what must happen. It is long because it passes only where something is
// wrong.
const Patience = 3 * time.Minute

const host = "127.0.0.1"

// The user that every server has.
const (
	Username = "guest"
	Password = "guest"
)

// A Server is one node, or several that are a cluster. Several goroutines may use it.
type Server struct {
	Version string
	Nodes   []*Node

	dir  string
	root string
	epmd *childprocess.Process
	tls  *tlstest.Certificates
	port int // of epmd
}

// Latest is the latest version that hack/install-servers.sh unpacks.
const Latest = "4.3"

// wanted are the versions that hack/install-servers.sh unpacks.
func wanted() []string { return []string{Latest, "4.0", "3.10"} }

// Versions returns the versions that are installed, the latest first. In CI all must be there, and
// elsewhere one. In a short run it skips the test.
func Versions(t testing.TB) []string {
	t.Helper()
	if testing.Short() {
		t.Skip("servers are not started in a short run")
	}
	var versions []string
	for _, version := range wanted() {
		if _, err := os.Stat(filepath.Join(folder(version), "installed")); err == nil {
			versions = append(versions, version)
			continue
		}
		if os.Getenv("CI") == "true" {
			t.Fatalf("find RabbitMQ %s: install it with hack/install-servers.sh", version)
		}
		t.Logf("RabbitMQ %s is not tested: install it with hack/install-servers.sh", version)
	}
	if len(versions) == 0 {
		t.Skip("RabbitMQ is not installed: install it with hack/install-servers.sh")
	}
	return versions
}

// folder returns where a version is, in this folder or one above: tests run in the folder of their
// package, which may be in a module below.
func folder(version string) string {
	dir, err := os.Getwd()
	if err != nil {
		return ""
	}
	for ; ; dir = filepath.Dir(dir) {
		path := filepath.Join(dir, ".tools", "servers", "rabbitmq-"+version)
		if _, err := os.Stat(path); err == nil || dir == filepath.Dir(dir) {
			if resolved, err := filepath.EvalSymlinks(path); err == nil {
				return resolved
			}
			return path
		}
	}
}

// Launch starts a server of so many nodes and waits until they serve. The caller closes it. With
// certificates each node also speaks TLS, and takes the user from a client certificate.
func Launch(ctx context.Context, version string, nodes int, certificates *tlstest.Certificates) (*Server, error) {
	// Another process may take a port between the choice and the start.
	var err error
	for range 3 {
		var s *Server
		if s, err = launch(ctx, version, nodes, certificates); err == nil {
			return s, nil
		}
	}
	return nil, err
}

// Start is Launch for one test.
func Start(t testing.TB, version string, nodes int, certificates *tlstest.Certificates) *Server {
	t.Helper()
	s, err := Launch(t.Context(), version, nodes, certificates)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func launch(ctx context.Context, version string, nodes int, certificates *tlstest.Certificates) (s *Server, err error) {
	dir, err := os.MkdirTemp("", "rabbitmqtest")
	if err != nil {
		return nil, err
	}
	s = &Server{Version: version, dir: dir, root: folder(version), tls: certificates}
	started := s // a return with an error clears s
	defer func() {
		if err != nil {
			started.Close()
		}
	}()
	if err := s.startEPMD(ctx); err != nil {
		return nil, err
	}
	for i := range nodes {
		ports, err := childprocess.FreePorts(host, 6)
		if err != nil {
			return nil, err
		}
		n := &Node{Name: fmt.Sprintf("n%d@localhost", i+1), server: s, ports: ports, dir: filepath.Join(dir, strconv.Itoa(i+1))}
		n.Freezer = processtest.NewFreezer(n.Signal)
		n.Address = net.JoinHostPort(host, strconv.Itoa(ports[0]))
		n.Management = "http://" + net.JoinHostPort(host, strconv.Itoa(ports[1]))
		n.Stream = net.JoinHostPort(host, strconv.Itoa(ports[4]))
		if certificates != nil {
			n.TLSAddress = net.JoinHostPort(host, strconv.Itoa(ports[3]))
			n.StreamTLS = net.JoinHostPort(host, strconv.Itoa(ports[5]))
		}
		s.Nodes = append(s.Nodes, n)
	}
	for _, n := range s.Nodes {
		if err := n.start(); err != nil {
			return nil, err
		}
	}
	for _, n := range s.Nodes {
		if err := n.await(ctx, nodes); err != nil {
			return nil, fmt.Errorf("start RabbitMQ %s: %w\n%s", version, err, n.output)
		}
	}
	return s, nil
}

// startEPMD starts the daemon by which the nodes find each other. A node would start one that
// outlives it.
func (s *Server) startEPMD(ctx context.Context) error {
	ports, err := childprocess.FreePorts(host, 1)
	if err != nil {
		return err
	}
	s.port = ports[0]
	programs, err := filepath.Glob(filepath.Join(s.root, "usr", "lib", "erlang", "erts-*", "bin", "epmd"))
	if err != nil || len(programs) == 0 {
		return fmt.Errorf("find epmd below %s: %w", s.root, errors.Join(err, os.ErrNotExist))
	}
	s.epmd, err = childprocess.Start(childprocess.Command{Path: programs[0], Args: []string{"-port", strconv.Itoa(s.port), "-address", host}})
	if err != nil {
		return err
	}
	return childprocess.Poll(ctx, "epmd", Patience, 10*time.Millisecond, func(ctx context.Context) error {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(s.port)))
		if err != nil {
			return err
		}
		return conn.Close()
	})
}

// Close ends all nodes. It is idempotent.
func (s *Server) Close() {
	for _, n := range s.Nodes {
		n.Kill()
	}
	if s.epmd != nil {
		s.epmd.Kill()
	}
	_ = os.RemoveAll(s.dir) // a folder of the system's own for temporary files
}
