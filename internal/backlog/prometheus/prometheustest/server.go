// Package prometheustest starts a real Prometheus for tests. It listens on a loopback port of its
// own, scrapes numbers that the test sets, and ends with the test.
package prometheustest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
	"github.com/backlog-scaler/backlog-scaler/internal/childprocess/processtest"
)

// patience bounds the wait for what must happen. It is long because it passes only where something
// is wrong.
const patience = time.Minute

// config scrapes the numbers of the test ten times a second.
const config = `global:
  scrape_interval: 100ms
  scrape_timeout: 100ms
scrape_configs:
  - job_name: test
    honor_labels: true
    static_configs:
      - targets: [%q]
`

// A Server is a Prometheus with the numbers that it scrapes. Several goroutines may use it.
type Server struct {
	processtest.Freezer

	// URL is the address of its API.
	URL     string
	process *childprocess.Process

	// mu guards series, the numbers by their names with labels, as "jobs{queue=\"mail\"}".
	mu     sync.Mutex
	series map[string]float64
}

// Start starts a server and waits until it has scraped once, which takes some five seconds. In a
// short run it skips the test, and also where Prometheus is not installed, except in CI.
func Start(t testing.TB) *Server {
	t.Helper()
	program := find(t)
	s := &Server{series: map[string]float64{}}
	s.Freezer = processtest.NewFreezer(func(signal syscall.Signal) error { return s.process.Signal(signal) })
	target := httptest.NewServer(http.HandlerFunc(s.scraped))
	t.Cleanup(target.Close)
	dir := t.TempDir()
	file := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(file, fmt.Appendf(nil, config, target.Listener.Addr()), 0o600); err != nil {
		t.Fatal(err)
	}
	// Another process may take the port between the choice and the start.
	var err error
	for range 5 {
		if err = s.launch(t, program, file, filepath.Join(dir, "data")); err == nil {
			break
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	s.Set(t, "prometheustest_started", 1)
	return s
}

// find returns the path of Prometheus: the one that hack/install-servers.sh has unpacked, or that
// of the system.
func find(t testing.TB) string {
	t.Helper()
	if testing.Short() {
		t.Skip("servers are not started in a short run")
	}
	if path := installed(); path != "" {
		return path
	}
	path, err := exec.LookPath("prometheus")
	switch {
	case err == nil:
	case os.Getenv("CI") == "true":
		t.Fatalf("find prometheus: %v; install it with hack/install-servers.sh", err)
	default:
		t.Skip("prometheus is not installed: install it with hack/install-servers.sh")
	}
	return path
}

// installed returns the server that hack/install-servers.sh has unpacked in this folder or one above:
// tests run in the folder of their package, which may be in a module below. It is empty if there is
// none.
func installed() string {
	dir, err := os.Getwd()
	if err != nil {
		return ""
	}
	for {
		path := filepath.Join(dir, ".tools", "servers", "prometheus", "server")
		switch {
		case isFile(path):
			return path
		case dir == filepath.Dir(dir):
			return ""
		}
		dir = filepath.Dir(dir)
	}
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// launch starts the program and waits until it is ready.
func (s *Server) launch(t testing.TB, program, file, data string) error {
	t.Helper()
	ports, err := childprocess.FreePorts("127.0.0.1", 1)
	if err != nil {
		return err
	}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[0]))
	s.URL = "http://" + address
	s.process, err = childprocess.Start(childprocess.Command{Path: program, Args: []string{
		"--config.file=" + file, "--storage.tsdb.path=" + data, "--web.listen-address=" + address, "--log.level=error",
	}})
	if err != nil {
		return err
	}
	exited := false
	err = childprocess.Poll(t.Context(), "Prometheus", patience, 10*time.Millisecond, func(ctx context.Context) error {
		select {
		case <-s.process.Exited():
			// There is nothing to wait for, such as where the port was taken by a server that answers.
			exited = true
			return nil
		default:
		}
		_, err := get(ctx, s.URL+"/-/ready")
		return err
	})
	if exited {
		err = fmt.Errorf("start Prometheus: %w", s.process.Err())
	}
	if err != nil {
		s.Stop()
	}
	return err
}

// Addr is the server's "host:port".
func (s *Server) Addr() string { return strings.TrimPrefix(s.URL, "http://") }

// Stop ends the server. It is idempotent.
func (s *Server) Stop() { s.process.Kill() }

// scraped answers a scrape: https://prometheus.io/docs/instrumenting/exposition_formats/.
func (s *Server) scraped(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("Content-Type", "text/plain; version=0.0.4")
	for _, name := range slices.Sorted(maps.Keys(s.series)) {
		_, _ = fmt.Fprintf(w, "%s %s\n", name, strconv.FormatFloat(s.series[name], 'g', -1, 64))
	}
}

// Set sets the number of a series, named with its labels, and waits until Prometheus answers with
// it.
func (s *Server) Set(t testing.TB, series string, number float64) {
	t.Helper()
	s.mu.Lock()
	s.series[series] = number
	s.mu.Unlock()
	want := strconv.FormatFloat(number, 'f', -1, 64)
	err := childprocess.Poll(t.Context(), series, patience, 10*time.Millisecond, func(ctx context.Context) error {
		body, err := get(ctx, s.URL+"/api/v1/query?"+url.Values{"query": {series}}.Encode())
		if err != nil {
			return err
		}
		var answer struct {
			Data struct {
				Result []struct {
					Value []any `json:"value"`
				} `json:"result"`
			} `json:"data"`
		}
		if err := json.Unmarshal(body, &answer); err != nil {
			return err
		}
		for _, sample := range answer.Data.Result {
			if len(sample.Value) == 2 && sample.Value[1] == want {
				return nil
			}
		}
		return fmt.Errorf("prometheus answers %s", body)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func get(ctx context.Context, address string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close() //nolint:errcheck // it was only read
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("the server answers %s: %s", response.Status, body)
	}
	return body, err
}
