package process

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"syscall"
)

// niceness is that of a program in the background: the programs that are measured go first.
const niceness = "15"

// A Background is a program that runs next to those that are measured, at a low priority.
type Background struct {
	command *exec.Cmd
	ready   chan struct{}
	ended   chan error
	last    string // line that it printed; may be read after ended
}

// StartBackground starts a program that prints ready once it does what it should.
func StartBackground(ctx context.Context, ready string, command ...string) (*Background, error) {
	b := &Background{ready: make(chan struct{}), ended: make(chan error, 1)}
	b.command = exec.CommandContext(ctx, "nice", append([]string{"-n", niceness}, command...)...)
	b.command.SysProcAttr = attributes()
	output, err := b.command.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", command[0], err)
	}
	if err := b.command.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", command[0], err)
	}
	go func() {
		b.read(output, ready)
		b.ended <- b.command.Wait()
	}()
	return b, nil
}

// read takes in what the program prints until it ends.
func (b *Background) read(output io.Reader, ready string) {
	for lines := bufio.NewScanner(output); lines.Scan(); {
		b.last = strings.TrimSpace(lines.Text())
		if b.last == ready {
			close(b.ready)
		}
	}
}

// Ready is closed when the program has said that it is ready.
func (b *Background) Ready() <-chan struct{} { return b.ready }

// Stop asks the program to end, waits for it and returns the last line that it printed.
func (b *Background) Stop() (last string, err error) {
	// It may have ended before.
	_ = b.command.Process.Signal(syscall.SIGTERM)
	if err := <-b.ended; err != nil {
		return b.last, fmt.Errorf("end %s: %w", b.command.Args[3], err)
	}
	return b.last, nil
}
