package main

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// asProgram makes the test binary be the program.
const asProgram = "SCALER_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// serve starts "scaler serve" in a process of its own and waits until it serves. await
// waits until it logs a line.
func serve(t *testing.T, flags ...string) (program *exec.Cmd, await func(text string)) {
	t.Helper()
	redis := redistest.Start(t)
	args := append([]string{
		"serve", "--config", configFor(t, redis.Addr()), "--grpc-address", "127.0.0.1:0", "--http-address", "127.0.0.1:0", "--admin-address", "127.0.0.1:0",
	}, flags...)
	program = exec.CommandContext(t.Context(), os.Args[0], args...)
	program.Env = append(os.Environ(), asProgram+"=1")
	log, err := program.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(log)
	await = func(text string) {
		t.Helper()
		for lines.Scan() {
			if strings.Contains(lines.Text(), text) {
				return
			}
		}
		t.Fatalf("the program ended without %s: %v", text, program.Wait())
	}
	await("msg=serving")
	return program, await
}

func send(t *testing.T, program *exec.Cmd, s syscall.Signal) {
	t.Helper()
	if err := program.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

func TestFirstSignalStopsInOrder(t *testing.T) {
	t.Parallel()
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		program, _ := serve(t, "--drain-delay", "100ms")
		send(t, program, s)
		if err := program.Wait(); err != nil {
			t.Errorf("%s: %v, want exit code 0", s, err)
		}
	}
}

func TestSecondSignalStopsAtOnce(t *testing.T) {
	t.Parallel()
	program, await := serve(t, "--drain-delay", "10m")
	send(t, program, syscall.SIGTERM)
	// Before that the second one might not be told from the first.
	await("msg=stopping")
	ended := make(chan error, 1)
	go func() { ended <- program.Wait() }()
	select {
	case err := <-ended:
		t.Fatalf("the first signal ended it at once: %v", err)
	case <-time.After(300 * time.Millisecond):
	}
	send(t, program, syscall.SIGTERM)
	err := <-ended
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.String() != "signal: terminated" {
		t.Errorf("ended with %v, want to be ended by the signal", err)
	}
}
