package broker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
)

const (
	// maxStarts is how often a start is tried: another program may take the port between the
	// choice and the start.
	maxStarts = 5
	// processTimeout is how long a server may take to answer, and then to end.
	processTimeout = 10 * time.Second
	// probeInterval is the interval between connection attempts.
	probeInterval = 10 * time.Millisecond
)

// startProcess starts a redis-server on a free port.
func startProcess(ctx context.Context, program, dir string) (*Broker, error) {
	var err error
	for range maxStarts {
		var b *Broker
		if b, err = launch(ctx, program, dir); err == nil {
			return b, nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, err
}

func launch(ctx context.Context, program, dir string) (*Broker, error) {
	ports, err := childprocess.FreePorts("127.0.0.1", 1)
	if err != nil {
		return nil, err
	}
	port := ports[0]
	output := new(bytes.Buffer) // may be read once the server has ended
	p, err := childprocess.Start(childprocess.Command{
		Path: program, Dir: dir, Stdout: output, Stderr: output, Grace: processTimeout,
		Args: []string{
			"--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--dir", dir,
			"--save", "", "--appendonly", "no", "--daemonize", "no",
		},
	})
	if err != nil {
		return nil, err
	}
	b := &Broker{
		Addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)),
		stop: p.Stop, ended: p.Exited(),
	}
	version, err := awaitAnswer(ctx, b)
	if err != nil {
		p.Stop()
		return nil, fmt.Errorf("start %s: %w: %s", program, err, lastLine(output.String()))
	}
	b.Name = filepath.Base(program) + " " + version
	return b, nil
}

// awaitAnswer waits until the server answers, and returns its version.
func awaitAnswer(ctx context.Context, b *Broker) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, processTimeout, errors.New("it does not answer"))
	defer cancel()
	if err := awaitPort(ctx, b); err != nil {
		return "", err
	}
	client := redis.NewClient(&redis.Options{Addr: b.Addr, Protocol: 2, DisableIdentity: true, MaxRetries: -1, DialerRetries: 1})
	// What cannot be closed is gone with its connection.
	defer func() { _ = client.Close() }()
	text, err := client.Info(ctx, "server").Result()
	return version(text), err
}

// awaitPort waits until the server accepts connections. A server without data
// answers as soon as it does.
func awaitPort(ctx context.Context, b *Broker) error {
	probe := time.NewTicker(probeInterval)
	defer probe.Stop()
	var dialer net.Dialer
	for {
		conn, err := dialer.DialContext(ctx, "tcp", b.Addr)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-b.ended:
			return errors.New("it has ended")
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-probe.C:
		}
	}
}

// version returns the version from INFO. Valkey reports its own next to that of the compatible
// Redis.
func version(info string) string {
	found := "of unknown version"
	for line := range strings.Lines(info) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch key {
		case "redis_version":
			found = value
		case "valkey_version":
			return value
		}
	}
	return found
}

func lastLine(output string) string {
	lines := strings.Split(strings.TrimSpace(output), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}
