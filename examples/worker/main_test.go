package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
	"github.com/backlog-scaler/backlog-scaler/worker"
)

// program is the path of the example, built from this source.
var program string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "worker")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	program = filepath.Join(dir, "worker")
	build := exec.Command("go", "build", "-o", program, ".") //nolint:noctx // bounded by the timeout of the tests
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build the worker:", err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(dir)
		os.Exit(code)
	}))
}

// A started worker is a process of the example.
type started struct {
	*childprocess.Process
	base string
	log  *processLog
}

// start starts the example on a Redis. The test ends it.
func start(t *testing.T, server *redistest.Server, args ...string) started {
	t.Helper()
	ports, err := childprocess.FreePorts("127.0.0.1", 1)
	if err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", ports[0])
	s := started{base: "http://" + address, log: &processLog{}}
	s.Process, err = childprocess.Start(childprocess.Command{
		Path: program, Args: append([]string{"-redis", server.Addr(), "-address", address}, args...),
		Stderr: s.log, Grace: time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Kill()
		if t.Failed() {
			t.Logf("the log of the worker:\n%s", s.log)
		}
	})
	return s
}

// exit waits until the process has ended, and returns its exit code.
func (s started) exit(t *testing.T) int {
	t.Helper()
	select {
	case <-s.Exited():
		return s.ExitCode()
	case <-time.After(time.Minute):
		t.Fatal("the worker does not end")
		return 0
	}
}

// awaitBusy waits until the worker has n jobs in flight.
func (s started) awaitBusy(t *testing.T, n int) {
	t.Helper()
	redistest.Eventually(t, fmt.Sprintf("the worker has %d jobs in flight", n), func() bool {
		code, text := s.get(t, "/busy")
		status, err := worker.ParseStatus(code, strings.NewReader(text))
		return err == nil && status.Busy == (n > 0) && status.InFlight == n
	})
}

// get returns the answer of the worker, and zero if there is none.
func (s started) get(t *testing.T, path string) (code int, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return 0, ""
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, ""
	}
	return response.StatusCode, string(data)
}

func (s started) awaitCode(t *testing.T, path string, want int) {
	t.Helper()
	redistest.Eventually(t, fmt.Sprintf("%s answers %d", path, want), func() bool {
		code, _ := s.get(t, path)
		return code == want
	})
}

func (s started) awaitLine(t *testing.T, text string) {
	t.Helper()
	redistest.Eventually(t, fmt.Sprintf("the log has %q", text), func() bool { return strings.Contains(s.log.String(), text) })
}
