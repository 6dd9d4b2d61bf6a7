package postgresql

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/network"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/sqlqueue"
)

// endpoint returns what is dialled.
func endpoint() network.Endpoint {
	return network.Endpoint{Setting: "addresses", HangUp: "is it a proxy, or no PostgreSQL?"}
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
	if state, is := errors.AsType[*pgconn.PgError](err); is {
		return s.stateAdvice(state)
	}
	if table, is := errors.AsType[*sqlqueue.DeniedTableError](err); is {
		return s.grantSelect(table.Table)
	}
	text := err.Error()
	switch {
	case errors.Is(err, errStandby):
		return "addresses: the primary, or all servers with target: primary; target: standby accepts older data"
	case strings.Contains(text, "server refused TLS connection"):
		return "tls: false and no other tls settings, or ssl = on at the server"
	case s.worked:
		return ""
	default:
		return endpoint().Advice(err)
	}
}

// denied finds what a message says that is denied.
var denied = regexp.MustCompile(`^permission denied for (schema|table|view|sequence|relation|function) (.+)$`)

// stateAdvice is advice for an error that the server has sent.
func (s *source) stateAdvice(state *pgconn.PgError) string {
	switch {
	case strings.HasPrefix(state.Code, "28"):
		return s.loginAdvice(state)
	case state.Code == "3D000", strings.Contains(state.Message, "no such database"):
		return "database: one that the server has"
	case strings.Contains(state.Message, "no such user"), strings.Contains(state.Message, "auth failed"):
		return "username and password: the pooler does not know them"
	case state.Code == "42501" && strings.Contains(state.Message, "row-level security"):
		return fmt.Sprintf("the rights of the user: ALTER ROLE %s BYPASSRLS; even a policy that shows it all rows does not do", s.cfg.username)
	case state.Code == "42501":
		return s.grant(state.Message)
	case state.Code == "42P01", state.Code == "3F000", state.Code == "42704":
		return "schema: where the framework has its tables, or run its migrations in database"
	case state.Code == "42703":
		return "the framework: its tables are of a version that the layout does not read"
	case state.Code == "53300":
		return "max_connections of the server, or of the role"
	case state.Code == "57014":
		return "statementTimeout: longer; or look for a missing index, or for rows that an old transaction keeps from being vacuumed"
	default:
		return ""
	}
}

// loginAdvice is advice for a login that the server has refused.
func (s *source) loginAdvice(state *pgconn.PgError) string {
	switch {
	case state.Code == "28P01":
		return "username and password: the server does not know them"
	case state.Code == "28000" && strings.Contains(state.Message, "no encryption") && !s.cfg.tls:
		return "tls: true, or an entry for connections without it in the server's pg_hba.conf"
	case state.Code == "28000" && strings.Contains(state.Message, "pg_hba.conf"):
		return "the server's pg_hba.conf: an entry for this user, database and address"
	default:
		return "username: a role that the server has, with LOGIN"
	}
}

// grant returns the statement that grants what is denied.
func (s *source) grant(message string) string {
	found := denied.FindStringSubmatch(backlog.Line(message))
	if found == nil {
		return "the rights of the user: docs/configuration.md, Rights in PostgreSQL"
	}
	switch kind, name := found[1], found[2]; kind {
	case "schema":
		return fmt.Sprintf("the rights of the user: GRANT USAGE ON SCHEMA %s TO %s", name, s.cfg.username)
	case "function":
		return fmt.Sprintf("the rights of the user: GRANT EXECUTE ON FUNCTION %s TO %s", name, s.cfg.username)
	case "sequence":
		return fmt.Sprintf("the rights of the user: GRANT SELECT ON SEQUENCE %s TO %s", name, s.cfg.username)
	default:
		return s.grantSelect(name)
	}
}

// grantSelect returns the statement that lets the user read a table or view.
func (s *source) grantSelect(name string) string {
	return fmt.Sprintf("the rights of the user: GRANT SELECT ON %s TO %s", backlog.Line(name), s.cfg.username)
}
