package broker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
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
	return nil, fmt.Errorf("start %s: %w", program, err)
}

func launch(ctx context.Context, program, dir string) (*Broker, error) {
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	p := &process{started: make(chan error, 1), ended: make(chan struct{})}
	p.command = exec.Command(program, //nolint:gosec,noctx // the user's own server, which stop ends
		"--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--dir", dir,
		"--save", "", "--appendonly", "no", "--daemonize", "no")
	p.command.Dir = dir
	p.command.Stdout, p.command.Stderr = &p.output, &p.output
	p.command.SysProcAttr = attributes()
	go p.run()
	if err := <-p.started; err != nil {
		return nil, err
	}
	b := &Broker{
		Addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)),
		stop: p.stop, ended: p.ended,
	}
	version, err := p.awaitAnswer(ctx, b)
	if err != nil {
		p.stop()
		return nil, fmt.Errorf("%w: %s", err, lastLine(p.output.String()))
	}
	b.Name = filepath.Base(program) + " " + version
	return b, nil
}

// freePort returns a port that is free at present.
func freePort(ctx context.Context) (int, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	address, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return 0, errors.Join(fmt.Errorf("find a free port: got %s", l.Addr()), l.Close())
	}
	return address.Port, l.Close()
}

// A process is a running server.
type process struct {
	command *exec.Cmd
	// output is what it printed; it may be read after ended.
	output bytes.Buffer
	// started receives the outcome of the start; ended is closed when the process has ended.
	started chan error
	ended   chan struct{}
}

// run starts the process and waits for its end. It keeps its thread, because the kernel takes
// the end of the thread that started a process for the end of its parent.
func (p *process) run() {
	defer close(p.ended)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := p.command.Start()
	p.started <- err
	if err == nil {
		// Its output has the reason.
		_ = p.command.Wait()
	}
}

// stop asks the process to end, and kills it if it does not. It is idempotent.
func (p *process) stop() {
	// A process that is gone cannot be interrupted, and need not be.
	_ = p.command.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(processTimeout):
		_ = p.command.Process.Kill()
		<-p.ended
	}
}

// awaitAnswer waits until the server answers, and returns its version.
func (p *process) awaitAnswer(ctx context.Context, b *Broker) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, processTimeout, errors.New("it does not answer"))
	defer cancel()
	if err := p.awaitPort(ctx, b.Addr); err != nil {
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
func (p *process) awaitPort(ctx context.Context, addr string) error {
	probe := time.NewTicker(probeInterval)
	defer probe.Stop()
	var dialer net.Dialer
	for {
		conn, err := dialer.DialContext(ctx, "tcp", addr)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-p.ended:
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
