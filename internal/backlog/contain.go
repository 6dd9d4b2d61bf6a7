package backlog

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
)

// ErrPanic is a bug of an engine, or of its client library, that showed in the exchange with a
// broker. It ends the operation that was under way and nothing else.
var ErrPanic = errors.New("panic")

// Contain turns a panic into an error that names the line of the panic. It is deferred in every
// goroutine that talks to a broker, because no answer of a broker may end the process.
func Contain(err *error) { //nolint:gocritic // the result of the function that defers it
	if p := recover(); p != nil { //nolint:revive // it is deferred itself
		*err = fmt.Errorf("%w: %v (%s)", ErrPanic, p, origin())
	}
}

// origin returns the file and line of the panic that is being recovered.
func origin() string {
	var callers [32]uintptr
	// The skipped frames are Callers, origin and Contain; functions of the runtime follow.
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
