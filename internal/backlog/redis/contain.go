package redis

import (
	"errors"
	"fmt"
)

// errPanic is a bug, of ours or of the client library, that showed while a server was
// spoken to. It ends the connection and nothing else.
var errPanic = errors.New("panic")

// contained makes an error of a panic. It is deferred around whatever reads from a server.
func contained(err *error) { //nolint:gocritic // the result of whoever defers it
	if p := recover(); p != nil { //nolint:revive // it is deferred itself
		*err = fmt.Errorf("%w: %v", errPanic, p)
	}
}
