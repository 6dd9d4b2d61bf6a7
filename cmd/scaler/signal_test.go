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
	return serveConfig(t, configFor(t, redistest.Start(t).Addr()), flags...)
}

// serveConfig is serve with a configuration of the test.
func serveConfig(t *testing.T, config string, flags ...string) (program *exec.Cmd, await func(text string)) {
	t.Helper()
	args := append([]string{
		"serve", "--config", config, "--grpc-address", "127.0.0.1:0", "--http-address", "127.0.0.1:0", "--admin-address", "127.0.0.1:0",
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
			if !strings.HasPrefix(lines.Text(), "time=") && !strings.HasPrefix(lines.Text(), "{") {
				t.Errorf("%q is no line of the log", lines.Text())
			}
			if strings.Contains(lines.Text(), text) {
				return
			}
		}
		t.Fatalf("the program ended without %s: %v", text, program.Wait())
	}
	await("serving")
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
	// Before that the second one might be taken for the first.
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

// TestSIGHUPReloads: SIGHUP reads the configuration again, says what has changed or why the
// file is refused, and never ends the program, not even while it stops.
func TestSIGHUPReloads(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	config := configFor(t, redis.Addr())
	good, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	program, await := serveConfig(t, config, "--drain-delay", "200ms", "--log-format", "json")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		send(t, program, syscall.SIGHUP)
	}
	write(string(good))
	await(`"msg":"configuration has not changed"`)
	write(string(good) + "  added: {engine: redis, namespaces: [a], addresses: [" + redis.Addr() + "]}\n")
	await(`"msg":"configuration reloaded","changes":"connections added: added"`)
	for range 2 {
		write(string(good) + "  added: {engine: reddis}\n")
		await(`there is no engine \"reddis\"`)
	}
	write(string(good))
	await(`"msg":"configuration reloaded","changes":"connections removed: added"`)
	for range 100 {
		send(t, program, syscall.SIGHUP)
	}
	await(`"msg":"configuration has not changed"`)
	send(t, program, syscall.SIGTERM)
	await(`"msg":"stopping"`)
	send(t, program, syscall.SIGHUP)
	await(`"msg":"stopped"`)
	if err := program.Wait(); err != nil {
		t.Errorf("%v, want exit code 0", err)
	}
}

// TestLibrariesWriteToTheLog: what a library says of a server that answers more than it was
// asked is a line of the log, at the level debug, and not one of its own on stderr.
func TestLibrariesWriteToTheLog(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	proxy := redistest.StartProxy(t, redis.Addr(), map[string]string{"LLEN": "ERR no\r\n+more"})
	config := writeConfig(t, "connections:\n  main: {engine: redis, namespaces: [a], addresses: ["+proxy.Addr()+"]}\n"+
		"watches:\n  w: {namespace: a, connection: main, list: jobs}\n")
	program, await := serveConfig(t, config, "--log-level", "debug", "--drain-delay", "0s")
	await("library=go-redis text=")
	send(t, program, syscall.SIGTERM)
	await("msg=stopped")
	if err := program.Wait(); err != nil {
		t.Error(err)
	}
}
