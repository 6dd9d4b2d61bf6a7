package process

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync/atomic"
	"syscall"
	"time"
)

// A Process is one running server.
type Process struct {
	name     string
	logFile  string
	grace    time.Duration
	cmd      *exec.Cmd
	stopping atomic.Bool   // set by Stop and Kill before they signal, read by the supervisor after the exit
	exited   chan struct{} // closed by the supervisor when the process has been reaped
}

// PID is the id of the process and of its process group.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// LogFile is where its output goes.
func (p *Process) LogFile() string { return p.logFile }

// Exited is closed once the process is gone.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// ExitCode is the code it exited with, -1 if a signal ended it. Valid once Exited is closed.
func (p *Process) ExitCode() int { return p.cmd.ProcessState.ExitCode() }

// Signal sends sig to the whole process group. A signal to a process that is gone is no error.
func (p *Process) Signal(sig syscall.Signal) error {
	select {
	case <-p.exited:
		return nil // the id may belong to another process by now
	default:
	}
	if err := syscall.Kill(-p.PID(), sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("send %s to %s: %w", sig, p.name, err)
	}
	return nil
}

// Stop asks the process to exit, kills it when its grace is over, and returns when it is gone.
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

// Kill ends the process with SIGKILL and returns when it is gone.
func (p *Process) Kill() {
	p.stopping.Store(true)
	if err := p.Signal(syscall.SIGKILL); err != nil {
		return // not ours to signal: there is nothing to wait for
	}
	<-p.exited
}

// Tail is the end of the log.
func (p *Process) Tail() string {
	b, err := os.ReadFile(p.logFile)
	if err != nil {
		return err.Error()
	}
	if len(b) > tailBytes {
		b = b[len(b)-tailBytes:]
	}
	return string(b)
}
