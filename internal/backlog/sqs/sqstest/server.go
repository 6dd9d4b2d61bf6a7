// Package sqstest starts moto, a server that speaks the protocols of AWS, for tests and benchmarks. It
// listens on a loopback port of its own and keeps its data in memory.
package sqstest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
	"github.com/backlog-scaler/backlog-scaler/internal/childprocess/processtest"
)

// Patience bounds the wait for what must happen. It is long because it passes only where something
// is wrong.
const Patience = time.Minute

// The region and the account of a server, and an access key that it accepts.
const (
	Region      = "eu-central-1"
	Account     = "123456789012"
	AccessKeyID = "AKIAEXAMPLE"
	SecretKey   = "example"
)

const host = "127.0.0.1"

// A Server is a running moto.
type Server struct {
	processtest.Freezer

	program string
	port    int
	process *childprocess.Process
}

// Start is Launch for one test. In a short run it skips the test, and also where moto is not installed,
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
// os.ErrNotExist where moto is not installed.
func Launch(ctx context.Context) (*Server, error) {
	program, err := installed()
	if err != nil {
		return nil, err
	}
	// Another process may take the port between the choice and the start.
	for range 5 {
		var ports []int
		if ports, err = childprocess.FreePorts(host, 1); err != nil {
			return nil, err
		}
		s := &Server{program: program, port: ports[0]}
		s.Freezer = processtest.NewFreezer(func(signal syscall.Signal) error { return s.process.Signal(signal) })
		if err = s.launch(ctx); err == nil {
			return s, nil
		}
		s.Close()
	}
	return nil, fmt.Errorf("start moto: %w", err)
}

// installed returns the program that hack/install-servers.sh has installed. Tests run in the folder of their
// package, which may be in a module below.
func installed() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		program := filepath.Join(dir, ".tools", "servers", "moto", "venv", "bin", "python")
		_, err := os.Stat(program)
		switch {
		case err == nil:
			return program, nil
		case dir == filepath.Dir(dir):
			return "", fmt.Errorf("find moto: %w; install it with hack/install-servers.sh", err)
		}
	}
}

var errNotMoto = errors.New("the server on the port is not moto")

// launch starts the process and waits until it answers.
func (s *Server) launch(ctx context.Context) (err error) {
	var log childprocess.Output
	s.process, err = childprocess.Start(childprocess.Command{
		Name: "moto", Path: s.program, Args: []string{"-m", "moto.server", "-H", host, "-p", strconv.Itoa(s.port)},
		Env: []string{"MOTO_ACCOUNT_ID=" + Account}, Stdout: &log, Stderr: &log,
	})
	if err != nil {
		return err
	}
	exited := false
	err = childprocess.Poll(ctx, "moto", Patience, 20*time.Millisecond, func(ctx context.Context) error {
		select {
		case <-s.process.Exited():
			// There is nothing to wait for, such as where the port was taken.
			exited = true
			return nil
		default:
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL()+"/moto-api/data.json", http.NoBody)
		if err != nil {
			return err
		}
		answer, err := newWebClient().Do(request)
		if err != nil {
			return err
		}
		// Another server may have taken the port. It has no such page.
		if answer.StatusCode != http.StatusOK {
			err = fmt.Errorf("%w: it answers %s", errNotMoto, answer.Status)
		}
		return errors.Join(err, answer.Body.Close())
	})
	if exited {
		err = fmt.Errorf("%w: moto has exited", os.ErrProcessDone)
	}
	if err != nil {
		return fmt.Errorf("%w\n%s", err, log.String())
	}
	return nil
}

// Addr returns the address of the server.
func (s *Server) Addr() string { return net.JoinHostPort(host, strconv.Itoa(s.port)) }

// URL returns its endpoint.
func (s *Server) URL() string { return "http://" + s.Addr() }

// PID returns the id of its process.
func (s *Server) PID() int { return s.process.PID() }

// Close ends the server.
func (s *Server) Close() {
	if s.process != nil {
		s.process.Stop()
	}
}

// Kill ends it at once. It has no data when it is started again.
func (s *Server) Kill() { s.process.Kill() }

// Restart starts it again on the same port, without any data.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.process.Kill()
	if err := s.launch(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// Available skips a test where no server can be started, as Start does.
func Available(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("servers are not started in a short run")
	}
	if _, err := installed(); err != nil && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
}

// newWebClient returns a client that keeps no connection.
func newWebClient() *http.Client {
	return &http.Client{Timeout: Patience, Transport: &http.Transport{DisableKeepAlives: true}}
}
