package postgresql

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// reasons are the kinds of errors by the beginning of their SQLSTATE, the longest first:
// https://www.postgresql.org/docs/current/errcodes-appendix.html. What is not here may pass by itself.
func reasons() []struct {
	kind   error
	states []string
} {
	return []struct {
		kind   error
		states []string
	}{
		// insufficient_privilege is a syntax error to SQL.
		{backlog.ErrDenied, []string{"42501", "28"}},
		// query_canceled, lock_not_available, serialization failures, and all that operators do.
		{backlog.ErrUnavailable, []string{"57", "55P03", "40", "53", "58", "08", "XX", "F0"}},
		{backlog.ErrMismatch, []string{"42", "3D", "3F", "22", "21", "25", "0A", "2F", "38", "39", "54", "55", "P0"}},
	}
}

// failed returns an error of the client library with the one of backlog's errors that it is.
func failed(err error) error {
	switch {
	case err == nil, isKnown(err):
		return err
	case isStatus(err):
		// Its text has the host, the user and the database as well.
		state, _ := errors.AsType[*pgconn.PgError](err)
		text := backlog.Line(state.Message)
		if strings.HasPrefix(state.Code, "57014") {
			text += " after statementTimeout"
		}
		return &statusError{kind: kindOf(state), state: state, text: text}
	default:
		return fmt.Errorf("%w: %w", backlog.ErrUnavailable, withoutSecrets(err))
	}
}

func isKnown(err error) bool {
	return slices.ContainsFunc([]error{
		backlog.ErrUnavailable, backlog.ErrDenied, backlog.ErrMismatch, backlog.ErrPartial, backlog.ErrExhausted,
	}, func(known error) bool { return errors.Is(err, known) })
}

// isRefused reports whether an answer is not what was asked for.
func isRefused(err error) bool {
	return errors.Is(err, backlog.ErrMismatch) || errors.Is(err, backlog.ErrExhausted)
}

func isStatus(err error) bool {
	_, is := errors.AsType[*pgconn.PgError](err)
	return is
}

// kindOf returns which error a status is.
func kindOf(state *pgconn.PgError) error {
	// A pooler answers with the status of a protocol violation.
	for _, text := range []string{"no such database", "no such user", "auth failed", "login rejected", "not allowed"} {
		if state.Code == "08P01" && strings.Contains(state.Message, text) {
			return backlog.ErrDenied
		}
	}
	for _, reason := range reasons() {
		for _, start := range reason.states {
			if strings.HasPrefix(state.Code, start) {
				return reason.kind
			}
		}
	}
	return backlog.ErrUnavailable
}

// withoutSecrets returns the cause of an error that connecting returns: its own text names the user
// and the database.
func withoutSecrets(err error) error {
	if long, is := errors.AsType[*pgproto3.ExceededMaxBodyLenErr](err); is {
		return long
	}
	if connect, is := errors.AsType[*pgconn.ConnectError](err); is {
		return connect.Unwrap()
	}
	return err
}

// A statusError is an error that the server has sent.
type statusError struct {
	kind  error
	state *pgconn.PgError
	text  string
}

func (e *statusError) Error() string {
	return fmt.Sprintf("%v: the server answers %q (SQLSTATE %s)", e.kind, e.text, backlog.Line(e.state.Code))
}

// Is reports whether the error is of a kind.
func (e *statusError) Is(target error) bool { return target == e.kind }

// Unwrap returns the status.
func (e *statusError) Unwrap() error { return e.state }
