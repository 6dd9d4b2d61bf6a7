// Package logstest starts real log servers for tests: VictoriaLogs, Loki and OpenSearch. Every server
// listens on loopback ports of its own, keeps its data in a folder of the test, and ends with the
// test.
package logstest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
	"github.com/backlog-scaler/backlog-scaler/internal/childprocess/processtest"
)

// patience bounds the wait for a server to start and to answer. It is long because it passes only
// where something is wrong.
const patience = 2 * time.Minute

const host = "127.0.0.1"

// A Server is one server process.
type Server struct {
	processtest.Freezer

	// URL is the address of its API.
	URL string

	kind    kind
	header  http.Header
	process *childprocess.Process
}

// An Entry is one entry of a log.
type Entry struct {
	At   time.Time
	Text string
	// Fields are the labels of its stream in Loki and VictoriaLogs, and fields in OpenSearch.
	Fields map[string]string
}

// A kind is how a server is started and filled.
type kind struct {
	// name is that of its folder below .tools/servers.
	name string
	// program is what must be there in that folder.
	program string
	// command returns what starts it, with its folder of data and free ports: the first is that of
	// the API.
	command func(t testing.TB, installed, data string, ports []int) childprocess.Command
	// ready is the path that answers 200 once the server can be used.
	ready string
	// push returns the requests that add entries.
	push func(t testing.TB, index string, entries []Entry) []request
}

// A request is one of those that add entries.
type request struct {
	method, path, contentType string
	body                      []byte
}

// start starts a server and waits until it answers. In a short run it skips the test, and also where
// the server is not installed, except in CI.
func start(t testing.TB, k kind) *Server {
	t.Helper()
	if testing.Short() {
		t.Skip("servers are not started in a short run")
	}
	installed := filepath.Join(root(t), ".tools", "servers", k.name)
	if _, err := os.Stat(filepath.Join(installed, k.program)); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("find %s: %v; install it with hack/install-servers.sh", k.name, err)
		}
		t.Skipf("%s is not installed: install it with hack/install-servers.sh", k.name)
	}
	// Another process may take a port between the choice and the start.
	var err error
	for range 5 {
		var s *Server
		if s, err = launch(t, k, installed); err == nil {
			return s
		}
	}
	t.Fatal(err)
	return nil
}

func launch(t testing.TB, k kind, installed string) (*Server, error) {
	t.Helper()
	ports, err := childprocess.FreePorts(host, 2)
	if err != nil {
		return nil, err
	}
	output := new(bytes.Buffer)
	command := k.command(t, installed, t.TempDir(), ports)
	command.Name, command.Stdout, command.Stderr = k.name, output, output
	process, err := childprocess.Start(command)
	if err != nil {
		return nil, err
	}
	s := &Server{
		Freezer: processtest.NewFreezer(process.Signal),
		URL:     "http://" + net.JoinHostPort(host, strconv.Itoa(ports[0])), kind: k, process: process,
	}
	if err = s.await(t.Context()); err != nil {
		process.Kill() // the output is complete after it
		return nil, fmt.Errorf("start %s: %w\n%s", k.name, err, output)
	}
	t.Cleanup(process.Kill)
	return s, nil
}

// await waits until the server can be used or has ended, which is an error.
func (s *Server) await(ctx context.Context) error {
	ended := false
	err := childprocess.Poll(ctx, s.kind.name+" to answer", patience, 20*time.Millisecond, func(ctx context.Context) error {
		select {
		case <-s.process.Exited():
			ended = true
			return nil
		default:
			_, err := s.send(ctx, request{method: http.MethodGet, path: s.kind.ready})
			return err
		}
	})
	if ended {
		return fmt.Errorf("the server has ended: %w", s.process.Err())
	}
	return err
}

// With returns the same server with headers that name a tenant.
func (s *Server) With(header http.Header) *Server {
	same := *s
	same.header = header
	return &same
}

// Kill ends the server at once, as a crash would. It is idempotent.
func (s *Server) Kill() { s.process.Kill() }

// Add adds entries, and returns when they can be found. The entries of a stream are in the order of
// their time. OpenSearch puts them into an index, which has no meaning elsewhere.
func (s *Server) Add(t testing.TB, index string, entries ...Entry) {
	t.Helper()
	for _, r := range s.kind.push(t, index, entries) {
		s.do(t, r)
	}
}

// Do sends a request that must succeed.
func (s *Server) Do(t testing.TB, method, path, contentType, body string) {
	t.Helper()
	s.do(t, request{method: method, path: path, contentType: contentType, body: []byte(body)})
}

func (s *Server) do(t testing.TB, r request) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if body, err := s.send(ctx, r); err != nil {
		t.Fatalf("%v\n%s", err, body)
	}
}

// send returns the body of the answer, and an error if it is none of success.
func (s *Server) send(ctx context.Context, r request) ([]byte, error) {
	q, err := http.NewRequestWithContext(ctx, r.method, s.URL+r.path, bytes.NewReader(r.body))
	if err != nil {
		return nil, err
	}
	maps.Copy(q.Header, s.header)
	if r.contentType != "" {
		q.Header.Set("Content-Type", r.contentType)
	}
	q.Close = true // no connection outlives the test
	client := &http.Client{Timeout: patience}
	answer, err := client.Do(q)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode >= http.StatusMultipleChoices {
		err = fmt.Errorf("%s %s: %s", r.method, r.path, answer.Status)
	}
	return body, err
}

// root returns the folder of the module, which is above this file.
func root(t testing.TB) string {
	t.Helper()
	_, file, _, ok := runtime.Caller(0)
	if !ok || !filepath.IsAbs(file) {
		// Built with -trimpath: tests run in the folder of their package.
		file, _ = os.Getwd()
	}
	for dir := file; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("find go.mod above the tests")
		}
	}
}
