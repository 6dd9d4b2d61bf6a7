// Package childprocess starts programs as processes of their own, reports what they use, and ends
// them: the servers of the demo, of the benchmark and of the end-to-end tests.
//
// Every program has a process group of its own, so that Ctrl-C at a terminal reaches only the parent,
// which then stops its programs in the right order. On Linux no program outlives its parent.
package childprocess

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
)

// defaultGrace is how long a program may take to exit after SIGTERM where its Command does not say.
const defaultGrace = 5 * time.Second

// outputDelay is how long the end of the output is waited for once the program is gone: a grandchild
// may hold it open.
const outputDelay = 5 * time.Second

// A Command says what to start.
type Command struct {
	// Name is the name of the program in errors; empty is the last element of Path.
	Name string
	Path string
	Args []string
	// Env is added to the environment of this process.
	Env []string
	// Dir is the working directory; empty is that of this process.
	Dir string
	// User is who runs the program, for a parent that is root and a program that refuses root; nil is
	// the user of this process.
	User *syscall.Credential
	// Stdout and Stderr receive the output; nil discards it. Each is written by one goroutine, which has
	// ended when Exited is closed; both by the same one if they are equal.
	Stdout, Stderr io.Writer
	// Grace is how long Stop waits between SIGTERM and SIGKILL. Zero is five seconds.
	Grace time.Duration
}

// A Process is a program that was started.
type Process struct {
	name  string
	grace time.Duration
	cmd   *exec.Cmd
	// stopping is set by Stop and Kill before they signal, and read once the process is gone.
	stopping atomic.Bool
	// exited is closed when the process is gone. err is written before that and read after.
	exited chan struct{}
	err    error
}

// Start starts a program. An error means that it does not run.
func Start(c Command) (*Process, error) { return start(c, nil) }

// start starts a program. ended is called, unless it is nil, when the process is gone and before Exited
// is closed.
func start(c Command, ended func(*Process)) (*Process, error) {
	p := &Process{
		name: cmp.Or(c.Name, filepath.Base(c.Path)), grace: cmp.Or(c.Grace, defaultGrace),
		cmd: exec.Command(c.Path, c.Args...), exited: make(chan struct{}), //nolint:gosec,noctx // the caller chooses the program, and Stop ends it
	}
	p.cmd.Dir = c.Dir
	p.cmd.Env = append(p.cmd.Environ(), c.Env...)
	p.cmd.Stdout, p.cmd.Stderr = c.Stdout, c.Stderr
	p.cmd.WaitDelay = outputDelay
	p.cmd.SysProcAttr = attributes(c.User)
	started := make(chan error, 1)
	go p.run(started, ended)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", p.name, err)
	}
	return p, nil
}

// run starts the process and reaps it. It keeps its thread: Linux takes the end of the thread that
// started a process for the end of the parent.
func (p *Process) run(started chan<- error, ended func(*Process)) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := p.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	p.err = p.cmd.Wait()
	if ended != nil {
		ended(p)
	}
	close(p.exited)
}

// Name is the name of the program in errors.
func (p *Process) Name() string { return p.name }

// PID is the id of the process and of its process group.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Exited is closed once the process is gone.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Err is how the process ended, nil for the exit code 0. It is valid once Exited is closed.
func (p *Process) Err() error { return p.err }

// ExitCode is the code it exited with, -1 if a signal ended it. It is valid once Exited is closed.
func (p *Process) ExitCode() int { return p.cmd.ProcessState.ExitCode() }

// Signal sends a signal to the whole process group. It is no error if the process is gone. After SIGSTOP it
// returns when all of it has stopped.
func (p *Process) Signal(signal syscall.Signal) error {
	select {
	case <-p.exited:
		return nil // the id may belong to another process by now
	default:
	}
	if err := syscall.Kill(-p.PID(), signal); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("send %s to %s: %w", signal, p.name, err)
	}
	if signal != syscall.SIGSTOP {
		return nil
	}
	members, err := group(p.PID())
	if err != nil {
		return err
	}
	return AwaitStopped(members...)
}

// Stop asks the process to exit, kills it when its grace is over, and returns when it is gone. It is
// idempotent.
func (p *Process) Stop() {
	p.stopping.Store(true)
	if err := p.Signal(syscall.SIGTERM); err != nil {
		p.Kill()
		return
	}
	timer := time.NewTimer(p.grace)
	defer timer.Stop()
	select {
	case <-p.exited:
	case <-timer.C:
		p.Kill()
	}
}

// Kill ends the process with SIGKILL and returns when it is gone. It is idempotent.
func (p *Process) Kill() {
	p.stopping.Store(true)
	if err := p.Signal(syscall.SIGKILL); err != nil {
		return // not ours to signal: there is nothing to wait for
	}
	<-p.exited
}
