// Package httpjson reads numbers from JSON that an HTTP server returns.
package httpjson

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/httpapi"
)

// layoutPath is the name of the only layout, paramValue that of its parameter.
const (
	layoutPath = "path"
	paramValue = "value"
)

// maxPath is the length of a path with its query in bytes.
const maxPath = 2048

// Engine returns the engine "http".
func Engine() backlog.Engine {
	return backlog.Engine{
		Name:     "http",
		Summary:  "Any HTTP server that returns a number in JSON.",
		Settings: httpapi.Settings(),
		Layouts: []backlog.Layout{{
			Name:     layoutPath,
			Summary:  "A number in the JSON that a GET returns. What is not there, `null` and values that are no number are errors, and not 0.",
			Queue:    "path below the URL of the connection, such as `/v1/expected`; it may have a query",
			Ready:    "the number that `value` finds, or a text that is a number",
			Measures: true,
			Parameters: []backlog.Parameter{{
				Name: paramValue, Kind: backlog.KindText, Required: true,
				Doc: "JSONPath (RFC 9535) of the number, such as `$.jobs.waiting` or `$.queues[?@.name == 'mail'].depth`. It must find one value. Descendants (`..`) and several selectors in one bracket are refused.",
			}},
			Check: checkQuery,
		}},
		Check: httpapi.CheckSettings,
		Open:  open,
	}
}

// checkQuery reports a path that leads out of the URL of the connection, and a JSONPath that is
// refused.
func checkQuery(q backlog.Query) error {
	_, err := parsePath(q.Queue)
	if err != nil {
		err = fmt.Errorf("%s: %w", layoutPath, err)
	}
	_, problem := parseValue(q.Params.Get(paramValue))
	if problem != nil {
		problem = fmt.Errorf("%s: %w", paramValue, problem)
	}
	return errors.Join(err, problem)
}

// parsePath splits a path and its query. The error says what is allowed.
func parsePath(text string) (httpapi.Request, error) {
	parsed, err := url.Parse(text)
	switch {
	case len(text) > maxPath:
		return httpapi.Request{}, fmt.Errorf("has %d bytes, want at most %d", len(text), maxPath)
	case strings.Contains(text, "://") && err == nil && parsed.Scheme != "":
		return httpapi.Request{}, errors.New("is a whole URL, want a path below the URL of the connection, such as /v1/expected")
	case !strings.HasPrefix(text, "/") || strings.HasPrefix(text, "//") || err != nil || parsed.Host != "":
		return httpapi.Request{}, errors.New("is not a path, want one that begins with a single / and is escaped as in a URL")
	case strings.Contains(text, "#"):
		return httpapi.Request{}, errors.New("holds a fragment (#), which is not sent to a server")
	case httpapi.HasDots(parsed.Path):
		return httpapi.Request{}, errors.New(`holds "." or "..", want a path without them`)
	}
	return httpapi.Request{Path: parsed.EscapedPath(), RawQuery: parsed.RawQuery}, nil
}

// open returns a source for a connection.
func open(ctx context.Context, c backlog.Connection, log *slog.Logger) (backlog.Source, error) {
	client, err := httpapi.New(c, log) //nolint:contextcheck // a request has the context of its read
	if err != nil {
		return nil, err
	}
	r := &reader{client: client, decoding: make(chan struct{}, 1)}
	return httpapi.NewSource(ctx, client, r.server, r.read), nil
}
