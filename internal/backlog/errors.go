package backlog

import "errors"

// The reasons why a queue could not be read. Engines wrap exactly one of them around every
// error.
var (
	// ErrUnavailable is an engine that did not answer: connection refused, timed out, loading,
	// failing over. A retry may help.
	ErrUnavailable = errors.New("unavailable")
	// ErrDenied is an engine that rejected the credentials or the command.
	ErrDenied = errors.New("denied")
	// ErrMismatch is a queue that exists but is not what its layout says, such as a Redis list
	// where a stream was named.
	ErrMismatch = errors.New("mismatch")
	// ErrPartial is an answer with a part missing, such as one node of a cluster.
	ErrPartial = errors.New("partial")
	// ErrExhausted is a query above a limit of its namespace, or of one query. The engine and
	// its other queries work.
	ErrExhausted = errors.New("limit reached")
)

// Reason returns a short stable word for err, for metrics and logs.
func Reason(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, ErrDenied):
		return "denied"
	case errors.Is(err, ErrMismatch):
		return "mismatch"
	case errors.Is(err, ErrPartial):
		return "partial"
	case errors.Is(err, ErrExhausted):
		return "exhausted"
	default:
		return "unavailable"
	}
}
