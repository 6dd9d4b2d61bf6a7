package backlog

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
)

// ErrPanic is a bug, of an engine or of its client library, that showed while a broker was
// spoken to. It ends what was under way and nothing else.
var ErrPanic = errors.New("panic")

// Contain makes an error of a panic, with the line on which it happened. It is deferred in
// every goroutine that talks to a broker, because what a broker answers must never end the
// process.
func Contain(err *error) { //nolint:gocritic // the result of the function that defers it
	if p := recover(); p != nil { //nolint:revive // it is deferred itself
		*err = fmt.Errorf("%w: %v (%s)", ErrPanic, p, origin())
	}
}

// origin returns the file and line of the panic that is being recovered.
func origin() string {
	var callers [32]uintptr
	// Below are Callers, origin, Contain and the runtime's own functions.
	frames := runtime.CallersFrames(callers[:runtime.Callers(3, callers[:])])
	for {
		frame, more := frames.Next()
		if !strings.HasPrefix(frame.Function, "runtime.") {
			return fmt.Sprintf("%s:%d", frame.Function, frame.Line)
		}
		if !more {
			return "unknown"
		}
	}
}
