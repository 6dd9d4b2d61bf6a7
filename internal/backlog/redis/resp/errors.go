package resp

import (
	"errors"
	"fmt"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

var (
	// ErrReply is a reply of a form that the command never has. It must not become a number.
	ErrReply = errors.New("unexpected reply")
	// ErrDiscarded is the reply to a command of a transaction that the server did not run.
	ErrDiscarded = errors.New("the server has not run the transaction")
	// ErrNil is the reply to a command about something that does not exist: a null value.
	ErrNil error = nilError{}
)

// A ServerError is an error that a server answered with. The client library's own errors of
// that kind have the method too.
type ServerError interface {
	error
	RedisError()
}

type nilError struct{}

func (nilError) Error() string { return "redis: nil" }

// RedisError implements ServerError.
func (nilError) RedisError() {}

// Reason returns what err means to the caller: one of the errors of backlog.
func Reason(err error) error {
	for _, known := range []error{backlog.ErrUnavailable, backlog.ErrDenied, backlog.ErrMismatch, backlog.ErrPartial} {
		if errors.Is(err, known) {
			return known
		}
	}
	switch {
	case errors.Is(err, ErrReply), errors.Is(err, ErrNil):
		return backlog.ErrPartial
	case !IsServerError(err):
		return backlog.ErrUnavailable
	case HasCode(err, "WRONGTYPE"):
		return backlog.ErrMismatch
	case IsDenial(err) && !IsTransient(err):
		return backlog.ErrDenied
	default:
		// LOADING, BUSY, CLUSTERDOWN, MASTERDOWN, READONLY, TRYAGAIN, ...
		return backlog.ErrUnavailable
	}
}

// WithReason returns err with its reason, unless it has one already.
func WithReason(err error) error {
	known := Reason(err)
	if errors.Is(err, known) {
		return err
	}
	return fmt.Errorf("%w: %w", known, err)
}

// IsServerError reports whether the server answered with err, as opposed to a connection
// that failed.
func IsServerError(err error) bool {
	_, answered := errors.AsType[ServerError](err)
	return answered
}

// ServerText returns what a server answered, without what was put around it; "" if err is
// not an answer.
func ServerText(err error) string {
	answer, answered := errors.AsType[ServerError](err)
	if !answered {
		return ""
	}
	return answer.Error()
}

// HasCode reports whether err is a server's error that begins with the given code.
func HasCode(err error, code string) bool {
	rest, found := strings.CutPrefix(ServerText(err), code)
	return found && (rest == "" || rest[0] == ' ')
}

// IsTransient reports whether a server's error is one that goes away by itself.
func IsTransient(err error) bool {
	for _, part := range []string{
		"LOADING", "BUSY", "MASTERDOWN", "CLUSTERDOWN", "max number of clients",
		// The listening connection was lost in this moment.
		"client ID you want redirect to does not exist",
	} {
		if strings.Contains(err.Error(), part) {
			return true
		}
	}
	return false
}

// IsDenial reports whether a server's error means that it refused the credentials or the
// command. The first texts are those of Redis 6.0 to 8 and of Valkey; managed services and
// proxies have words of their own.
func IsDenial(err error) bool {
	text := ServerText(err)
	if strings.HasPrefix(text, "ERR This instance has cluster support disabled") {
		return false
	}
	for _, start := range []string{
		"NOPERM", "NOAUTH", "WRONGPASS", "DENIED",
		"ERR unknown command", "ERR unknown subcommand", "ERR Unknown subcommand",
		"ERR invalid password", "ERR invalid username-password pair",
		"ERR AUTH <password> called without any password configured",
		"ERR command is not allowed", "ERR DISABLED",
	} {
		if strings.HasPrefix(text, start) {
			return true
		}
	}
	for _, part := range []string{
		"unknown command", "unsupported", "not supported", "not allowed", "not permitted", "not implemented",
		"no permission", "permission denied", "forbidden", "blocked", "disabled",
	} {
		if strings.Contains(strings.ToLower(text), part) {
			return true
		}
	}
	return false
}
