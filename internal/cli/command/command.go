// Package command has the commands that scaler and its kubectl plugin share: what they do once they
// know which scaler and which cluster to ask. The flags that say so are those of each program.
package command

import (
	"errors"
	"fmt"
	"io"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// maxErrorLines is how many lines of an error are printed, such as the faults of a file.
const maxErrorLines = 200

// An exitError ends the program with a code of its own.
type exitError struct {
	error
	code int
}

func (e exitError) Unwrap() error { return e.error }

// ExitCode returns the code.
func (e exitError) ExitCode() int { return e.code }

// Misused prints an error of the arguments of a program, and returns its exit code.
func Misused(stderr io.Writer, program string, err error) int {
	fmt.Fprintf(stderr, "%s: %s\nRun \"%s --help\" for the commands.\n", program, backlog.Lines(err.Error(), maxErrorLines), program)
	return 2
}

// Ended prints the error of a command, if there is one, and returns the exit code of the program.
func Ended(stderr io.Writer, program string, err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintf(stderr, "%s: %s\n", program, backlog.Lines(err.Error(), maxErrorLines))
	var coded interface{ ExitCode() int }
	if errors.As(err, &coded) {
		return coded.ExitCode()
	}
	return 1
}
