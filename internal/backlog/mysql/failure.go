package mysql

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-sql-driver/mysql"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/network"
)

// The numbers of errors that have a remedy or are no mismatch:
// https://dev.mysql.com/doc/mysql-errs/8.0/en/server-error-reference.html and
// https://mariadb.com/kb/en/mariadb-error-code-reference/.
const (
	errAccess        = 1045
	errDatabaseRight = 1044
	errTableRight    = 1142
	errColumnRight   = 1143
	errRight         = 1227
	errRoutineRight  = 1370
	errNoDatabase    = 1049
	errNoTable       = 1146
	errNoColumn      = 1054
	errTimeout       = 3024 // MySQL
	errStatementTime = 1969 // MariaDB
	errConnections   = 1040
	errHostBlocked   = 1129
	errHostDenied    = 1130
	errTLSRequired   = 3159

	// These are about texts whose character sets do not go together.
	errTwoCollations   = 1267
	errThreeCollations = 1270
	errCollations      = 1271
	errString          = 1300
	errConversion      = 3854
)

// kindOf returns which error a number is.
func kindOf(number uint16, state string) error {
	switch {
	case slices.Contains([]uint16{errAccess, errDatabaseRight, errTableRight, errColumnRight, errRight, errRoutineRight, errHostDenied, errTLSRequired, 1698, 1130, 3118, 4151}, number):
		return backlog.ErrDenied
	// Query interrupted, deadlock, lock timeout, shutdown, too many connections or resources.
	case slices.Contains([]uint16{errTimeout, errStatementTime, errConnections, errHostBlocked, 1203, 1226, 1205, 1213, 1317, 1053, 1927, 1152, 1158, 1159, 1160, 1161, 1041, 1037, 1038, 1021, 1030}, number):
		return backlog.ErrUnavailable
	case strings.HasPrefix(state, "42"), strings.HasPrefix(state, "22"), strings.HasPrefix(state, "21"), strings.HasPrefix(state, "23"), strings.HasPrefix(state, "25"):
		return backlog.ErrMismatch
	case number >= 1046 && number < 2000, number >= 3000 && number < 5000:
		return backlog.ErrMismatch
	default:
		return backlog.ErrUnavailable
	}
}

// failed returns an error of the client library with the one of backlog's errors that it is.
func failed(err error) error {
	if err == nil || isKnown(err) {
		return err
	}
	if state, is := errors.AsType[*mysql.MySQLError](err); is {
		text := backlog.Line(state.Message)
		if state.Number == errTimeout || state.Number == errStatementTime {
			text += " after statementTimeout"
		}
		return &statusError{kind: kindOf(state.Number, string(state.SQLState[:])), state: state, text: text}
	}
	return fmt.Errorf("%w: %w", backlog.ErrUnavailable, err)
}

func isKnown(err error) bool {
	return slices.ContainsFunc([]error{
		backlog.ErrUnavailable, backlog.ErrDenied, backlog.ErrMismatch, backlog.ErrPartial, backlog.ErrExhausted,
	}, func(known error) bool { return errors.Is(err, known) })
}

// isOfText reports whether an error may be about one of the texts that were sent: their character set
// or their value.
func isOfText(err error) bool {
	state, is := errors.AsType[*mysql.MySQLError](err)
	return is && (strings.HasPrefix(string(state.SQLState[:]), "22") || slices.Contains([]uint16{errTwoCollations, errThreeCollations, errCollations, errString, errConversion}, state.Number))
}

// isOutage reports whether an error concerns the connection, and not what was asked.
func isOutage(err error) bool {
	_, is := errors.AsType[*statusError](err)
	return !is && errors.Is(err, backlog.ErrUnavailable)
}

// A statusError is an error that the server has sent.
type statusError struct {
	kind  error
	state *mysql.MySQLError
	text  string
}

func (e *statusError) Error() string {
	return fmt.Sprintf("%v: the server answers %q (error %d)", e.kind, e.text, e.state.Number)
}

// Is reports whether the error is of a kind.
func (e *statusError) Is(target error) bool { return target == e.kind }

// Unwrap returns what the server has sent.
func (e *statusError) Unwrap() error { return e.state }

// endpoint returns what is dialled.
func endpoint() network.Endpoint {
	return network.Endpoint{Setting: settingAddress, HangUp: "is it a proxy, or no MySQL?"}
}

// advised returns err with what to change.
func (s *source) advised(err error) error {
	if _, change := backlog.Advice(err); change != "" {
		return err
	}
	return backlog.WithAdvice(err, s.advice(err))
}

// advice returns what to change so that err goes away; empty if that is not known.
func (s *source) advice(err error) string {
	state, is := errors.AsType[*mysql.MySQLError](err)
	switch {
	case errors.Is(err, errReplica):
		return "address: the server that is written to; allowReplica: true accepts older data"
	case errors.Is(err, mysql.ErrNoTLS):
		return "tls: false and no other tls settings, or TLS at the server"
	case !is && s.worked:
		return ""
	case !is:
		return endpoint().Advice(err)
	}
	switch state.Number {
	case errAccess:
		return "username and password: the server does not know them for this host"
	case errTLSRequired:
		return "tls: true"
	case errDatabaseRight, errNoDatabase:
		return "database: one that the server has and the user may enter"
	case errHostDenied, errHostBlocked:
		return "the server: a user for the host of the scaler, or FLUSH HOSTS"
	case errTableRight, errColumnRight:
		return fmt.Sprintf("the rights of the user: GRANT SELECT ON %s.TABLE TO %s, for the table that the server names", s.cfg.client.DBName, s.cfg.username)
	case errNoTable:
		return "database: where the framework has its tables, or run its migrations"
	case errNoColumn:
		return "the framework: its tables are of a version that the layout does not read"
	case errConnections:
		return "max_connections of the server"
	case errTimeout, errStatementTime:
		return "statementTimeout: longer; or look for a missing index"
	default:
		return ""
	}
}
