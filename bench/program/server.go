// Package program starts the programs of a benchmark, each as a process of its own: servers that are
// measured, and programs that run next to them.
package program

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
)

const (
	// patience bounds the wait for a server to become ready.
	patience = 20 * time.Second
	// probeInterval is the time between two requests for its readiness. A start takes tens of milliseconds.
	probeInterval = time.Millisecond
)

// A Server serves gRPC and HTTP. It announces where by a line with "grpc=ADDRESS" and "http=ADDRESS" on its
// standard error.
type Server struct {
	*childprocess.Process

	// GRPC, HTTP and Admin are the addresses on which it listens. Admin is that of a scaler.
	GRPC, HTTP, Admin string
	// Ready is the time from the start to the first successful probe of its readiness.
	Ready time.Duration

	http *http.Client
}

// StartServer starts a server, with environment added to that of this process, and waits until it is ready.
func StartServer(ctx context.Context, environment []string, path string, arguments ...string) (*Server, error) {
	announced := &announcement{complete: make(chan struct{})}
	began := time.Now()
	process, err := childprocess.Start(childprocess.Command{Path: path, Args: arguments, Env: environment, Stderr: announced})
	if err != nil {
		return nil, err
	}
	s := &Server{Process: process, http: &http.Client{Timeout: patience}}
	if err := s.await(ctx, announced); err != nil {
		s.Kill()
		return nil, fmt.Errorf("start %s: %w: %s", path, err, announced.last)
	}
	s.Ready = time.Since(began)
	return s, nil
}

// await waits until the server is ready.
func (s *Server) await(ctx context.Context, announced *announcement) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case <-announced.complete:
		s.GRPC, s.HTTP, s.Admin = announced.grpc, announced.http, announced.admin
	case <-s.Exited():
		return errors.New("it ended before it listened")
	case <-ctx.Done():
		return ctx.Err()
	}
	return childprocess.Poll(ctx, "its readiness", patience, probeInterval, func(ctx context.Context) error {
		_, err := s.Get(ctx, "/readyz")
		return err
	})
}

// An announcement is the standard error of a server, which is of interest until it says where it listens. The
// goroutine that copies the output writes the fields; they are read once complete is closed or that goroutine
// has ended.
type announcement struct {
	complete          chan struct{}
	grpc, http, admin string
	last              string // line
	partial           []byte // of a line
}

// Write implements io.Writer.
func (a *announcement) Write(text []byte) (int, error) {
	if a.grpc != "" && a.http != "" {
		return len(text), nil
	}
	a.partial = append(a.partial, text...)
	for {
		line, rest, found := bytes.Cut(a.partial, []byte("\n"))
		if !found {
			return len(text), nil
		}
		a.partial = rest
		a.last = strings.TrimSpace(string(line))
		for word := range strings.FieldsSeq(a.last) {
			if address, found := strings.CutPrefix(word, "grpc="); found {
				a.grpc = address
			}
			if address, found := strings.CutPrefix(word, "http="); found {
				a.http = address
			}
			if address, found := strings.CutPrefix(word, "admin="); found {
				a.admin = address
			}
		}
		if a.grpc != "" && a.http != "" {
			close(a.complete)
			return len(text), nil
		}
	}
}

// Get returns what the server serves at a path of its HTTP port.
func (s *Server) Get(ctx context.Context, path string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.HTTP+path, http.NoBody)
	if err != nil {
		return "", fmt.Errorf("get %s: %w", path, err)
	}
	body, err := s.send(request, http.StatusOK)
	if err != nil {
		return "", fmt.Errorf("get %s: %w", path, err)
	}
	return body, nil
}

// Wake gives the hint that a queue of a connection has changed, as a producer with a token does.
func (s *Server) Wake(ctx context.Context, connection, queue, token string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.HTTP+"/wake/"+connection+"/"+queue, http.NoBody)
	if err == nil {
		request.Header.Set("Authorization", "Bearer "+token)
		_, err = s.send(request, http.StatusAccepted)
	}
	if err != nil {
		return fmt.Errorf("wake %s: %w", queue, err)
	}
	return nil
}

// send returns the body of the answer. The error is an answer with another code than wanted.
func (s *Server) send(request *http.Request, wanted int) (string, error) {
	response, err := s.http.Do(request)
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return "", err
	}
	if response.StatusCode != wanted {
		return "", errors.New(response.Status)
	}
	return string(body), nil
}

// Kill ends the server at once and waits for it. It is idempotent.
func (s *Server) Kill() {
	s.Process.Kill()
	s.http.CloseIdleConnections()
}

// Collect makes the server collect its garbage. It needs its profiles.
func (s *Server) Collect(ctx context.Context) error {
	_, err := s.Get(ctx, "/debug/pprof/heap?gc=1")
	return err
}

// Held is the memory that the server holds once it has collected its garbage, by its
// own account, in bytes, without the memory that it keeps for growth. It needs its profiles.
func (s *Server) Held(ctx context.Context) (float64, error) {
	profile, err := s.Get(ctx, "/debug/pprof/heap?gc=1&debug=1")
	if err != nil {
		return 0, err
	}
	all, err := statistic(profile, "Sys")
	if err != nil {
		return 0, err
	}
	idle, err := statistic(profile, "HeapIdle")
	return all - idle, err
}

// Allocations is how many objects the server has allocated so far. It needs its profiles.
func (s *Server) Allocations(ctx context.Context) (float64, error) {
	profile, err := s.Get(ctx, "/debug/pprof/allocs?debug=1")
	if err != nil {
		return 0, err
	}
	return statistic(profile, "Mallocs")
}

// statistic is a field of runtime.MemStats, as a profile lists it.
func statistic(profile, name string) (float64, error) {
	for line := range strings.Lines(profile) {
		if value, found := strings.CutPrefix(line, "# "+name+" = "); found {
			return strconv.ParseFloat(strings.TrimSpace(value), 64)
		}
	}
	return 0, fmt.Errorf("read the memory: the profile has no %s", name)
}
