package childprocess

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

// tailBytes is how much of a dead program's log is part of the error about it.
const tailBytes = 4000

// A Supervisor owns all programs of a run: it keeps a log of each, ends the run when one of them dies,
// and stops them in the reverse order of their start.
type Supervisor struct {
	logDir string
	fail   context.CancelCauseFunc

	mu      sync.Mutex // guards running and closed, because tests start servers at the same time
	running []*Process // in the order of their start
	closed  bool
}

// NewSupervisor returns a supervisor that writes logs to logDir, which it creates, and a context that
// ends when ctx does or when a program exits that was not stopped; the cause then names the program and
// holds the end of its log. Close must be called.
func NewSupervisor(ctx context.Context, logDir string) (*Supervisor, context.Context, error) {
	if err := os.MkdirAll(logDir, 0o750); err != nil {
		return nil, nil, fmt.Errorf("create log folder: %w", err)
	}
	ctx, fail := context.WithCancelCause(ctx)
	return &Supervisor{logDir: logDir, fail: fail}, ctx, nil
}

// Start starts a program. Its output goes to NAME.log in the log folder, in place of Stdout and Stderr.
// An error means that it does not run.
func (s *Supervisor) Start(c Command) (*Process, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := cmp.Or(c.Name, filepath.Base(c.Path))
	if s.closed {
		return nil, fmt.Errorf("start %s: the supervisor is closed", name)
	}
	logFile := filepath.Join(s.logDir, name+".log")
	// Append: a program that is started again keeps the log of its former life.
	out, err := os.OpenFile(filepath.Clean(logFile), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open log of %s: %w", name, err)
	}
	defer out.Close() //nolint:errcheck // the program holds its own descriptor; nothing is written through this one
	c.Stdout, c.Stderr = out, out
	p, err := start(c, func(p *Process) { s.ended(p, logFile) })
	if err != nil {
		return nil, err
	}
	s.running = append(s.running, p)
	return p, nil
}

// ended forgets a program that is gone, and ends the run if it was not stopped. It waits while Start holds
// the lock, so that it comes after the program was added.
func (s *Supervisor) ended(p *Process, logFile string) {
	stopped := p.stopping.Load()
	s.mu.Lock()
	s.running = slices.DeleteFunc(s.running, func(q *Process) bool { return q == p })
	s.mu.Unlock()
	if stopped {
		return
	}
	s.fail(fmt.Errorf("%s died: %w; the end of %s:\n%s", p.name, cmp.Or(p.err, errors.New("exit status 0")), logFile, tail(logFile)))
}

// tail is the end of a file.
func tail(file string) string {
	text, err := os.ReadFile(filepath.Clean(file))
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-tailBytes):])
}

// LogDir is the folder that holds one log per program.
func (s *Supervisor) LogDir() string { return s.logDir }

// Close stops what still runs, last started first, and waits for each. It is idempotent.
func (s *Supervisor) Close() {
	s.mu.Lock()
	s.closed = true
	running := slices.Clone(s.running)
	s.mu.Unlock()
	for _, p := range slices.Backward(running) {
		p.Stop()
	}
	s.fail(context.Canceled)
}
