package program

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
)

// niceness is that of a program in the background: the programs that are measured go first.
const niceness = "15"

// backgroundGrace is how long a program in the background may take to end.
const backgroundGrace = time.Minute

// A Background is a program that runs next to those that are measured, at a low priority.
type Background struct {
	process *childprocess.Process
	output  *lines
}

// StartBackground starts a program that prints ready once it does what it should.
func StartBackground(ready string, command ...string) (*Background, error) {
	output := &lines{wanted: ready, found: make(chan struct{})}
	process, err := childprocess.Start(childprocess.Command{
		Name: command[0], Path: "nice", Args: append([]string{"-n", niceness}, command...), Stdout: output, Grace: backgroundGrace,
	})
	if err != nil {
		return nil, err
	}
	return &Background{process: process, output: output}, nil
}

// Ready is closed when the program has printed that it is ready.
func (b *Background) Ready() <-chan struct{} { return b.output.found }

// Stop asks the program to end, waits for it and returns the last line that it printed.
func (b *Background) Stop() (last string, err error) {
	b.process.Stop()
	if err := b.process.Err(); err != nil {
		return b.output.last, fmt.Errorf("end %s: %w", b.process.Name(), err)
	}
	return b.output.last, nil
}

// lines are the output of a program. The goroutine that copies the output writes the fields; last is read once
// that goroutine has ended.
type lines struct {
	wanted  string
	printed bool          // wanted was
	found   chan struct{} // closed then
	last    string
	partial []byte // of a line
}

// Write implements io.Writer.
func (l *lines) Write(text []byte) (int, error) {
	l.partial = append(l.partial, text...)
	for {
		line, rest, complete := bytes.Cut(l.partial, []byte("\n"))
		if !complete {
			return len(text), nil
		}
		l.partial, l.last = rest, strings.TrimSpace(string(line))
		if l.last == l.wanted && !l.printed {
			l.printed = true
			close(l.found)
		}
	}
}
