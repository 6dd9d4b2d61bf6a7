// Package redisserver runs redis-server processes of the machine, which can be killed, frozen and started again.
package redisserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
)

// host is where every server listens.
const host = "127.0.0.1"

// A Server is one Redis on a port of its own. What is written survives Kill: each command is appended to a file.
type Server struct {
	supervisor *childprocess.Supervisor
	binary     string
	name       string
	dir        string
	port       int
	process    *childprocess.Process
	client     *redis.Client
}

// Start starts a server called name, with its data in a new folder under dir, and waits until it answers.
func Start(ctx context.Context, supervisor *childprocess.Supervisor, dir, name string) (*Server, error) {
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, fmt.Errorf("find redis-server (install it with: apt-get install redis-server): %w", err)
	}
	ports, err := childprocess.FreePorts(host, 1)
	if err != nil {
		return nil, err
	}
	s := &Server{supervisor: supervisor, binary: binary, name: name, dir: filepath.Join(dir, name), port: ports[0]}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, fmt.Errorf("create data folder of %s: %w", name, err)
	}
	s.client = redis.NewClient(&redis.Options{
		Addr: s.Address(), ClientName: "e2e-" + name,
		// A frozen server must fail a test's command, not hang it.
		DialTimeout: 2 * time.Second, ReadTimeout: 2 * time.Second, MaxRetries: -1,
	})
	if err := s.Restart(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// Restart starts the server again, on the same port with the same data, and waits until it answers.
func (s *Server) Restart(ctx context.Context) error {
	var err error
	s.process, err = s.supervisor.Start(childprocess.Command{
		Name: s.name, Path: s.binary, Args: []string{
			"--bind", host,
			"--port", strconv.Itoa(s.port),
			"--dir", s.dir,
			"--appendonly", "yes", "--appendfsync", "always",
			"--save", "",
			"--daemonize", "no",
		},
	})
	if err != nil {
		return err
	}
	return childprocess.Poll(ctx, s.name, 15*time.Second, 20*time.Millisecond, func(ctx context.Context) error {
		return s.client.Ping(ctx).Err()
	})
}

// Address is host:port.
func (s *Server) Address() string { return net.JoinHostPort(host, strconv.Itoa(s.port)) }

// Port is where it listens.
func (s *Server) Port() int { return s.port }

// Client is the tests' own client.
func (s *Server) Client() *redis.Client { return s.client }

// Kill ends the server as a power cut would. Restart starts it again.
func (s *Server) Kill() { s.process.Kill() }

// Freeze stops the server from running: its connections stay open and nothing answers. Thaw lets it go on.
func (s *Server) Freeze() error { return s.process.Signal(syscall.SIGSTOP) }

// Thaw undoes Freeze.
func (s *Server) Thaw() error { return s.process.Signal(syscall.SIGCONT) }

// Push appends n messages to a list in one command.
func (s *Server) Push(ctx context.Context, list string, n int) error {
	messages := make([]any, n)
	for i := range messages {
		messages[i] = "message"
	}
	if err := s.client.RPush(ctx, list, messages...).Err(); err != nil {
		return fmt.Errorf("push %d messages to %s: %w", n, list, err)
	}
	return nil
}

// Drain empties a list, as workers do in the end.
func (s *Server) Drain(ctx context.Context, list string) error {
	if err := s.client.Del(ctx, list).Err(); err != nil {
		return fmt.Errorf("drain %s: %w", list, err)
	}
	return nil
}

// Connections counts the clients connected now, without the tests' own.
func (s *Server) Connections(ctx context.Context) (int, error) {
	list, err := s.client.ClientList(ctx).Result()
	if err != nil {
		return 0, fmt.Errorf("list the clients of %s: %w", s.name, err)
	}
	n := 0
	for line := range strings.Lines(list) {
		if !strings.Contains(line, " name=e2e-"+s.name+" ") {
			n++
		}
	}
	return n, nil
}

// A Cost is the work of a server since its start.
type Cost struct {
	// Commands are those that it has processed. The one that asks for the cost counts in the next.
	Commands int64
	// CPU is processor time of all its threads.
	CPU time.Duration
}

// Cost asks the server, by one command.
func (s *Server) Cost(ctx context.Context) (Cost, error) {
	info, err := s.client.Info(ctx).Result()
	if err != nil {
		return Cost{}, fmt.Errorf("read the statistics of %s: %w", s.name, err)
	}
	commands, err := number(info, "total_commands_processed")
	user, userErr := number(info, "used_cpu_user")
	system, systemErr := number(info, "used_cpu_sys")
	if err := errors.Join(err, userErr, systemErr); err != nil {
		return Cost{}, fmt.Errorf("read the statistics of %s: %w", s.name, err)
	}
	return Cost{Commands: int64(commands), CPU: time.Duration((user + system) * float64(time.Second))}, nil
}

// number finds a field of INFO.
func number(info, name string) (float64, error) {
	for line := range strings.Lines(info) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), name+":"); ok {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, fmt.Errorf("INFO has no %s", name)
}

// Close closes the tests' client. The server itself belongs to the supervisor.
func (s *Server) Close() error {
	if err := s.client.Close(); err != nil {
		return fmt.Errorf("close client of %s: %w", s.name, err)
	}
	return nil
}
