// Package process starts the servers of a run, notices when one of them dies, and takes them down again.
//
// Every child has a process group of its own, so that Ctrl-C in a terminal reaches only the test or
// command, which then stops its children in the right order.
package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"time"
)

// tailBytes is how much of a dead server's log goes into the error about it.
const tailBytes = 4000

// Command says what to start. Output of the child goes to Name.log in the supervisor's log folder.
type Command struct {
	Name string
	Path string
	Args []string
	Env  []string // added to the environment of this process
	Dir  string
	// Grace is how long the child may take to exit after SIGTERM. Zero is five seconds.
	Grace time.Duration
}

// A Supervisor owns every process of a run.
type Supervisor struct {
	logDir string
	fail   context.CancelCauseFunc
	spawn  chan func()
	done   chan struct{} // closed when the spawning goroutine has ended

	mu      sync.Mutex // guards running and closed, because tests start servers at the same time
	running []*Process // in the order of their start
	closed  bool
}

// NewSupervisor returns a supervisor that writes logs to logDir, which it creates, and a context that
// ends when ctx does or when a child exits without having been told to; the cause then names the child
// and holds the end of its log. Close must be called.
func NewSupervisor(ctx context.Context, logDir string) (*Supervisor, context.Context, error) {
	if err := os.MkdirAll(logDir, 0o750); err != nil {
		return nil, nil, fmt.Errorf("create log folder: %w", err)
	}
	ctx, fail := context.WithCancelCause(ctx)
	s := &Supervisor{logDir: logDir, fail: fail, spawn: make(chan func()), done: make(chan struct{})}
	go s.spawner()
	return s, ctx, nil
}

// spawner runs every fork on one locked thread: on Linux a child is killed when the thread that
// forked it ends, and this thread lives exactly as long as the supervisor or the process.
func (s *Supervisor) spawner() {
	defer close(s.done)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for start := range s.spawn {
		start()
	}
}

// Start runs c. An error means that it was not started.
func (s *Supervisor) Start(c Command) (*Process, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, fmt.Errorf("start %s: the run is being taken down", c.Name)
	}
	logFile := filepath.Join(s.logDir, c.Name+".log")
	// Append: a server that is started again keeps the log of its former life.
	out, err := os.OpenFile(filepath.Clean(logFile), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open log of %s: %w", c.Name, err)
	}
	defer out.Close() //nolint:errcheck // the child holds its own descriptor; nothing is written through this one

	cmd := exec.Command(c.Path, c.Args...) //nolint:noctx // the harness chooses the program; its life is ended by Stop
	cmd.Env = append(os.Environ(), c.Env...)
	cmd.Dir = c.Dir
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = attributes()

	started := make(chan error, 1)
	s.spawn <- func() { started <- cmd.Start() }
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Name, err)
	}
	if c.Grace == 0 {
		c.Grace = 5 * time.Second
	}
	p := &Process{name: c.Name, logFile: logFile, grace: c.Grace, cmd: cmd, exited: make(chan struct{})}
	s.running = append(s.running, p)
	go s.wait(p)
	return p, nil
}

// wait reaps p and ends the run if nobody asked p to exit.
func (s *Supervisor) wait(p *Process) {
	err := p.cmd.Wait()
	expected := p.stopping.Load()
	s.mu.Lock()
	s.running = slices.DeleteFunc(s.running, func(q *Process) bool { return q == p })
	s.mu.Unlock()
	if !expected {
		if err == nil {
			err = errors.New("exit status 0")
		}
		s.fail(fmt.Errorf("%s died: %w; the end of %s:\n%s", p.name, err, p.logFile, p.Tail()))
	}
	close(p.exited)
}

// LogDir is the folder that holds one log per server.
func (s *Supervisor) LogDir() string { return s.logDir }

// Close stops what still runs, last started first, and waits for each. It may be called twice.
func (s *Supervisor) Close() {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		<-s.done
		return
	}
	s.closed = true
	last := slices.Clone(s.running)
	s.mu.Unlock()
	for _, p := range slices.Backward(last) {
		p.Stop()
	}
	close(s.spawn)
	<-s.done
	s.fail(context.Canceled)
}
