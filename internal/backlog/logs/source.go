package logs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/httpapi"
)

// A client sends requests to a server: *httpapi.Client.
type client interface {
	Do(context.Context, httpapi.Request) (httpapi.Response, error)
}

// A language asks a kind of server.
type language interface {
	// count returns the number of entries that a question finds. Several goroutines call it. The
	// error wraps one of backlog's errors.
	count(context.Context, question) (answer, error)
	// probe asks what every server of the kind knows, and returns its name and version.
	probe(context.Context) (string, error)
}

// A reader answers the queries of one connection.
type reader struct {
	connection string
	settings   backlog.Settings
	language   language
	// name is the name of the server, with its version where that is known; nil until it answered.
	// Each read writes it.
	name atomic.Pointer[string]
}

// open returns a source for a connection. It connects when it is read.
func open(ctx context.Context, c backlog.Connection, log *slog.Logger) (backlog.Source, error) {
	if err := check(c.Settings); err != nil {
		return nil, fmt.Errorf("open connection %q: %w", c.Name, err)
	}
	api, err := httpapi.New(c, log) //nolint:contextcheck // a request has the context of its read
	if err != nil {
		return nil, err
	}
	r := &reader{connection: c.Name, settings: c.Settings, language: newLanguage(c.Settings, api)}
	return httpapi.NewSource(ctx, api, r.server, r.read).WithProbe(r.probe), nil
}

// newLanguage returns what asks the server of a connection.
func newLanguage(s backlog.Settings, c client) language {
	switch s.Text(settingServer) {
	case victoriaLogs:
		return victoria{client: c, tenant: tenantHeaders(s)}
	case loki:
		return grafanaLoki{client: c}
	default:
		return elastic{client: c, server: s.Text(settingServer)}
	}
}

// tenantHeaders returns the headers that name a tenant of VictoriaLogs; nil for the default one:
// https://docs.victoriametrics.com/victorialogs/#multitenancy
func tenantHeaders(s backlog.Settings) http.Header {
	account, project := s.Integer(settingAccount), s.Integer(settingProject)
	if account == 0 && project == 0 {
		return nil
	}
	headers := http.Header{}
	headers.Set("AccountID", strconv.FormatInt(account, 10))
	headers.Set("ProjectID", strconv.FormatInt(project, 10))
	return headers
}

// server returns the name of the server once it has answered.
func (r *reader) server() string {
	if name := r.name.Load(); name != nil {
		return *name
	}
	return ""
}

// probe verifies the connection.
func (r *reader) probe(ctx context.Context) error {
	name, err := r.language.probe(ctx)
	if err != nil {
		return fmt.Errorf("ask %s of connection %q: %w", r.settings.Text(settingServer), r.connection, err)
	}
	r.name.Store(&name)
	return nil
}

// read answers one query.
func (r *reader) read(ctx context.Context, q backlog.Query) (backlog.Reading, error) {
	if q.Layout != layoutQuery {
		return backlog.Reading{}, mismatch(fmt.Errorf("there is no layout %q", q.Layout))
	}
	asked, err := newQuestion(r.settings, q)
	if err != nil && !errors.Is(err, backlog.ErrDenied) {
		err = mismatch(err)
	}
	if err != nil {
		return backlog.Reading{}, err
	}
	found, err := r.language.count(ctx, asked)
	if err != nil {
		return backlog.Reading{}, err
	}
	r.name.CompareAndSwap(nil, new(r.settings.Text(settingServer)))
	reading := backlog.Reading{At: time.Now(), Warning: found.warning}
	reading.Measured, err = backlog.Measured(float64(found.count))
	return reading, err
}
