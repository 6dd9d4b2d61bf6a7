package redis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

var (
	errClosed = errors.New("the source is closed")
	// errReply is a reply of a form that the command never has. It must not become
	// a number.
	errReply = errors.New("unexpected reply")

	errScale       = errors.New("scoreScale: want a number above 0")
	errScaleOfNone = errors.New("scoreScale: has no meaning with score none")
)

// reason finds what err means to the caller: one of the errors of backlog.
func reason(err error) error {
	for _, known := range []error{backlog.ErrUnavailable, backlog.ErrDenied, backlog.ErrMismatch, backlog.ErrPartial} {
		if errors.Is(err, known) {
			return known
		}
	}
	var refused redis.Error
	switch {
	case errors.Is(err, errReply), errors.Is(err, redis.Nil):
		return backlog.ErrPartial
	case !errors.As(err, &refused):
		return backlog.ErrUnavailable
	case hasCode(err, "WRONGTYPE"):
		return backlog.ErrMismatch
	case denies(refused.Error()) && !passes(err):
		return backlog.ErrDenied
	default:
		// LOADING, BUSY, CLUSTERDOWN, MASTERDOWN, READONLY, TRYAGAIN, ...
		return backlog.ErrUnavailable
	}
}

// wrap returns err with its reason, unless it has one already.
func wrap(err error) error {
	known := reason(err)
	if errors.Is(err, known) {
		return err
	}
	return fmt.Errorf("%w: %w", known, err)
}

// isServerError tells whether the server answered with err, as opposed to a
// connection that failed.
func isServerError(err error) bool {
	if err == nil {
		return false
	}
	var refused redis.Error
	return errors.As(err, &refused)
}

// isTimeout tells whether err is an answer that did not come in time.
func isTimeout(err error) bool {
	var network net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &network) && network.Timeout()
}

// isFlush tells whether err is what go-redis makes of an invalidation without keys,
// which a server sends when it was emptied: its payload is null.
func isFlush(err error) bool {
	return err != nil && strings.Contains(err.Error(), "unsupported pubsub message payload: <nil>")
}

// refusedOr returns err, as a refusal of what if the server answered it. Managed
// servers refuse in words of their own, so what is not known to pass is a refusal.
func refusedOr(err error, what string) error {
	switch {
	case err == nil:
		return nil
	case isServerError(err) && !passes(err), errors.Is(err, errReply):
		return refusal{what + ": " + err.Error()}
	default:
		return fmt.Errorf("%s: %w", what, err)
	}
}

// passes tells whether a server's error is one that goes away by itself.
func passes(err error) bool {
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

// serverText returns what a server answered, without what was put around it; "" if err is
// not an answer.
func serverText(err error) string {
	var refused redis.Error
	if !errors.As(err, &refused) {
		return ""
	}
	return refused.Error()
}

// hasCode tells whether err is a server's error that begins with the given code.
func hasCode(err error, code string) bool {
	if err == nil {
		return false
	}
	var refused redis.Error
	if !errors.As(err, &refused) {
		return false
	}
	text, found := strings.CutPrefix(refused.Error(), code)
	return found && (text == "" || text[0] == ' ')
}

// denies reports whether a server's error means that the credentials or the command
// were refused. The first texts are those of Redis 6.0 to 8 and of Valkey; managed
// services and proxies have words of their own.
func denies(text string) bool {
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
