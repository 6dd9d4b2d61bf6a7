package main

import (
	"bytes"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// lengths wants the list to have so many jobs, in flight and waiting.
func lengths(t *testing.T, server *redistest.Server, waiting, inFlight int64) {
	t.Helper()
	redistest.Eventually(t, "the lists have the right lengths", func() bool {
		return server.Do("LLEN", "images") == waiting && server.Do("LLEN", "images:processing") == inFlight &&
			server.Do("HLEN", "images:leases") == inFlight
	})
}

func TestJobsAreDone(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	w := start(t, server, "-work", "1ms")
	w.awaitCode(t, "/healthz", http.StatusOK)
	w.awaitCode(t, "/readyz", http.StatusOK)
	w.awaitBusy(t, 0)
	server.Do("LPUSH", "images", "cat.png", "dog with spaces.png", "")
	w.awaitLine(t, `msg="job done" job="dog with spaces.png"`)
	w.awaitLine(t, `msg="job done" job=cat.png`)
	server.Do("LPUSH", "images", "last.png")
	w.awaitLine(t, `msg="job done" job=last.png`)
	if code, text := w.get(t, "/metrics"); code != http.StatusOK || !strings.Contains(text, "\nworker_jobs_in_flight 0\n") {
		t.Errorf("metrics: %d %q", code, text)
	}
}

// TestDrain sends SIGTERM to a worker that is busy: it finishes the job in hand and leaves the
// next one.
func TestDrain(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Do("LPUSH", "images", "first.png", "second.png")
	w := start(t, server, "-work", "3s", "-grace", "5m")
	w.awaitBusy(t, 1)
	if err := w.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := w.exit(t); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	w.awaitLine(t, `msg="job done" job=first.png`)
	lengths(t, server, 1, 0)
}

// TestGraceExceeded gives a job less time than it needs: it is handed back before the process
// ends.
func TestGraceExceeded(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Do("LPUSH", "images", "first.png")
	w := start(t, server, "-work", "1h", "-grace", "1ms")
	w.awaitBusy(t, 1)
	if err := w.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := w.exit(t); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	w.awaitLine(t, "worker: drain: the grace period is over after 1ms; cancelled jobs: 1, still running: 0")
	lengths(t, server, 1, 0)
}

// TestSecondSignal wants a second SIGTERM to end the process at once.
func TestSecondSignal(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Do("LPUSH", "images", "first.png")
	w := start(t, server, "-work", "1h", "-grace", "1h")
	w.awaitBusy(t, 1)
	if err := w.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	w.awaitCode(t, "/readyz", http.StatusServiceUnavailable)
	w.awaitCode(t, "/healthz", http.StatusOK)
	w.awaitBusy(t, 1)
	if err := w.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := w.exit(t); code != -1 {
		t.Errorf("exit code %d, want an end by the signal", code)
	}
	lengths(t, server, 0, 1)
}

// TestKilledWorker kills a worker that is busy. The next start of the same name hands its job
// back at once, although its lease goes on.
func TestKilledWorker(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Do("LPUSH", "images", "first.png", "second.png")
	killed := start(t, server, "-name", "pod-1", "-work", "1h", "-lease", "1h")
	killed.awaitBusy(t, 1)
	killed.Kill()
	lengths(t, server, 1, 1)
	w := start(t, server, "-name", "pod-1", "-work", "1ms", "-lease", "1h")
	w.awaitLine(t, `msg="job done" job=second.png`)
	lengths(t, server, 0, 0)
	text := w.log.String()
	first, second := strings.Index(text, "job=first.png"), strings.Index(text, "job=second.png")
	if first < 0 || first > second {
		t.Errorf("the job of the killed worker is not the first one that is done:\n%s", text)
	}
}

// TestKilledWorkerOfAnotherName wants the job of a pod that is gone to be done by another one
// when its lease has ended.
func TestKilledWorkerOfAnotherName(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Do("LPUSH", "images", "first.png")
	killed := start(t, server, "-name", "pod-1", "-work", "1h", "-lease", "1s")
	killed.awaitBusy(t, 1)
	killed.Kill()
	w := start(t, server, "-name", "pod-2", "-work", "1ms", "-lease", "1s")
	w.awaitLine(t, `msg="job done" job=first.png`)
	lengths(t, server, 0, 0)
}

// TestRedisIsAway wants the worker to be live and not ready without Redis, and to go on after.
func TestRedisIsAway(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	w := start(t, server, "-work", "1ms")
	w.awaitCode(t, "/readyz", http.StatusOK)
	server.Kill()
	w.awaitCode(t, "/readyz", http.StatusServiceUnavailable)
	w.awaitCode(t, "/healthz", http.StatusOK)
	server.Restart()
	w.awaitCode(t, "/readyz", http.StatusOK)
	server.Do("LPUSH", "images", "first.png")
	w.awaitLine(t, `msg="job done" job=first.png`)
}

func TestArguments(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		args []string
		code int
		want string
	}{
		"help":            {[]string{"-help"}, 0, "Usage of worker"},
		"unknown flag":    {[]string{"-queue", "a"}, 2, "flag provided but not defined: -queue"},
		"argument":        {[]string{"images"}, 2, `argument "images" is not known, want flags only`},
		"no list":         {[]string{"-list", ""}, 2, "-list or -name is empty"},
		"short lease":     {[]string{"-lease", "10ms"}, 2, "-lease is 10ms, want at least 1s"},
		"negative work":   {[]string{"-work", "-1s"}, 2, "-work is -1s, want zero or more"},
		"negative grace":  {[]string{"-grace", "-1s"}, 1, "worker: Grace is -1s, want a positive duration"},
		"no password":     {[]string{"-password-file", "/nowhere/password"}, 1, "read the password: open /nowhere/password"},
		"no such address": {[]string{"-address", "nowhere"}, 1, `serve probes on "nowhere"`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var stderr bytes.Buffer
			if code := run(test.args, &stderr); code != test.code {
				t.Errorf("exit code %d, want %d", code, test.code)
			}
			if !strings.Contains(stderr.String(), test.want) {
				t.Errorf("%q does not have %q", &stderr, test.want)
			}
		})
	}
}
