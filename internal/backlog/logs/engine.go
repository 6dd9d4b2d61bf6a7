// Package logs counts the log entries that a query finds in VictoriaLogs, Loki, Elasticsearch or
// OpenSearch, in a window of time up to now. Each server is asked in its own language.
//
// A server that has no such stream, index or field is not a server that has no such entries. Where
// its answer does not say which of the two it is, the count is unknown, and never 0.
package logs

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/httpapi"
)

// The servers, as the setting "server" names them.
const (
	victoriaLogs  = "victorialogs"
	loki          = "loki"
	elasticsearch = "elasticsearch"
	openSearch    = "opensearch"
)

// The keys of a connection and of a trigger that are the engine's own.
const (
	settingServer  = "server"
	settingFilter  = "filter"
	settingAccount = "accountID"
	settingProject = "projectID"
	layoutQuery    = "query"
	paramWindow    = "window"
	paramIndex     = "index"
	paramTimeField = "timeField"
)

// defaultTimeField is the field of the time that Beats, Fluent Bit and data streams write:
// https://www.elastic.co/docs/reference/ecs/ecs-base
const defaultTimeField = "@timestamp"

// The limits of a window. A longer one costs the server more with each read.
const (
	minWindow = time.Second
	maxWindow = 24 * time.Hour
)

// maxQuery is the length of a query in bytes. Loki's is sent in a URL. Proxies accept 8 KiB there as a
// rule, and escaping may double the query.
const maxQuery = 4096

// Engine returns the engine "logs".
func Engine() backlog.Engine {
	return backlog.Engine{
		Name:     "logs",
		Summary:  "Number of log entries in VictoriaLogs, Loki, Elasticsearch and OpenSearch.",
		Settings: settings(),
		Layouts:  []backlog.Layout{layout()},
		Check:    check,
		Open:     open,
	}
}

// settings are the keys of a connection.
func settings() []backlog.Parameter {
	return append([]backlog.Parameter{
		{Name: settingServer, Kind: backlog.KindChoice, Required: true, Allowed: []string{victoriaLogs, loki, elasticsearch, openSearch}, Doc: "What answers at the url, and the language of the queries: LogsQL, LogQL or Lucene query strings."},
		{Name: settingFilter, Kind: backlog.KindText, Doc: "Filter that limits every query, in the language of the server, with `{namespace}` for the namespace of the trigger. For Loki it is label matchers, such as `namespace=\"{namespace}\"`."},
		{Name: settingAccount, Kind: backlog.KindInteger, Max: math.MaxUint32, Doc: "AccountID of the tenant in VictoriaLogs."},
		{Name: settingProject, Kind: backlog.KindInteger, Max: math.MaxUint32, Doc: "ProjectID of the tenant in VictoriaLogs."},
	}, httpapi.Settings()...)
}

// layout is the one layout.
func layout() backlog.Layout {
	return backlog.Layout{
		Name:         layoutQuery,
		Summary:      "Number of log entries that a query finds.",
		Queue:        "query in the language of the server that finds the entries, at most 4096 bytes",
		Ready:        "the number of entries in the window that the query finds",
		Measures:     true,
		PerNamespace: func(s backlog.Settings) bool { return strings.Contains(s.Text(settingFilter), namespacePlaceholder) },
		Check:        checkWindow,
		CheckOn:      checkQuery,
		Parameters: []backlog.Parameter{
			{Name: paramWindow, Kind: backlog.KindDuration, Required: true, Doc: "How far back entries count, from 1s to 24h."},
			{Name: paramIndex, Kind: backlog.KindText, Doc: "Index, data stream or alias, or several with commas and stars; required for Elasticsearch and OpenSearch."},
			{Name: paramTimeField, Kind: backlog.KindText, Doc: "Field of the entry's time in Elasticsearch and OpenSearch; without it " + defaultTimeField + "."},
		},
	}
}

// check reports settings that exclude each other.
func check(s backlog.Settings) error {
	errs := []error{httpapi.CheckSettings(s)}
	server := s.Text(settingServer)
	if server != victoriaLogs && (s.Integer(settingAccount) != 0 || s.Integer(settingProject) != 0) {
		errs = append(errs, fmt.Errorf("accountID, projectID: only for server %q", victoriaLogs))
	}
	if server == victoriaLogs && s.Text("tenant") != "" {
		errs = append(errs, errors.New("tenant: VictoriaLogs has no such header, want accountID and projectID"))
	}
	if filter := s.Text(settingFilter); filter != "" {
		if err := checkFilter(server, filter); err != nil {
			errs = append(errs, fmt.Errorf("filter: %w", err))
		}
	}
	return errors.Join(errs...)
}

// A question is a query as the languages need it.
type question struct {
	// text is the query of the trigger.
	text string
	// window is how far back entries count; whole seconds.
	window time.Duration
	// filter is that of the connection for the namespace of the trigger; empty if there is none.
	filter string
	// index and timeField are set for Elasticsearch and OpenSearch only.
	index, timeField string
}

// seconds is the window in a form that all languages read, such as "300s".
func (q question) seconds() string { return fmt.Sprintf("%ds", int64(q.window/time.Second)) }

// checkWindow reports a window that is out of bounds.
func checkWindow(q backlog.Query) error {
	_, err := windowOf(q)
	return err
}

func windowOf(q backlog.Query) (time.Duration, error) {
	text := q.Params.Get(paramWindow)
	window, err := time.ParseDuration(text)
	if err != nil || window < minWindow || window > maxWindow || window%time.Second != 0 {
		return 0, fmt.Errorf("%s: %q, want whole seconds from 1s to 24h", paramWindow, text)
	}
	return window, nil
}

// checkQuery reports a query that the connection's server cannot be asked.
func checkQuery(s backlog.Settings, q backlog.Query) error {
	asked, err := newQuestion(s, q)
	if err != nil {
		return err
	}
	return checkText(s.Text(settingServer), asked)
}

// checkText reports a query of the trigger that is not what its language needs.
func checkText(server string, q question) error {
	var err error
	switch server {
	case victoriaLogs:
		_, err = logsQL(q)
	case loki:
		_, _, err = logQL(q)
	default:
	}
	if err != nil {
		return fmt.Errorf("%s: %w", layoutQuery, err)
	}
	return nil
}

// newQuestion returns a query with what the connection adds to it. The error names a key of the
// trigger.
func newQuestion(s backlog.Settings, q backlog.Query) (question, error) {
	if len(q.Queue) > maxQuery {
		return question{}, fmt.Errorf("%s: has %d bytes, want at most %d", layoutQuery, len(q.Queue), maxQuery)
	}
	window, err := windowOf(q)
	if err != nil {
		return question{}, err
	}
	asked := question{text: q.Queue, window: window, index: q.Params.Get(paramIndex), timeField: q.Params.Get(paramTimeField)}
	if asked.filter, err = filterFor(s.Text(settingFilter), q.Namespace); err != nil {
		return question{}, err
	}
	switch server := s.Text(settingServer); server {
	case elasticsearch, openSearch:
		asked.timeField = cmp.Or(asked.timeField, defaultTimeField)
		return asked, checkPlace(asked)
	default:
		if asked.index != "" || asked.timeField != "" {
			return question{}, fmt.Errorf("%s, %s: only for %s and %s, and the connection's server is %s", paramIndex, paramTimeField, elasticsearch, openSearch, server)
		}
		return asked, nil
	}
}
