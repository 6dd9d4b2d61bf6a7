package prometheus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/httpapi"
)

// The paths of the API: https://prometheus.io/docs/prometheus/latest/querying/api/.
const (
	queryPath     = "/api/v1/query"
	buildInfoPath = "/api/v1/status/buildinfo"
)

// A reader asks the server of one connection. Several goroutines may use it.
type reader struct {
	client *httpapi.Client
	// label is the label that limits queries to a namespace; empty if none does.
	label string

	// name is the name and version of the server; nil until it answered. asked reports whether
	// some read has begun to ask for them. Each read may write both.
	name  atomic.Pointer[string]
	asked atomic.Bool
}

// server returns the name and version of the server.
func (r *reader) server() string {
	if name := r.name.Load(); name != nil {
		return *name
	}
	return ""
}

// read answers one query.
func (r *reader) read(ctx context.Context, q backlog.Query) (backlog.Reading, error) {
	if q.Layout != layoutQuery {
		return backlog.Reading{}, fmt.Errorf("%w: no layout %q", backlog.ErrMismatch, q.Layout)
	}
	text, err := r.limited(q)
	if err != nil {
		return backlog.Reading{}, err
	}
	reading, err := r.ask(ctx, text)
	if err != nil {
		return backlog.Reading{}, err
	}
	r.nameServer(ctx)
	return reading, nil
}

// limited returns the text of a query, limited to its namespace where the connection says so.
func (r *reader) limited(q backlog.Query) (string, error) {
	if r.label == "" {
		return q.Queue, nil
	}
	// The parser of triggers has checked it.
	text, err := enforce(q.Queue, r.label, q.Namespace)
	if err != nil {
		return "", fmt.Errorf("%w: the query %w", backlog.ErrDenied, err)
	}
	return text, nil
}

// probe asks for a number that every server knows.
func (r *reader) probe(ctx context.Context) error {
	if _, err := r.ask(ctx, "vector(0)"); err != nil {
		return fmt.Errorf("ask connection %q: %w", r.client.Connection(), err)
	}
	r.nameServer(ctx)
	return nil
}

// ask sends a query. A server that can answer in part is asked not to: partial_response is a
// parameter of Thanos (https://thanos.io/tip/components/query.md/#partial-response),
// deny_partial_response one of VictoriaMetrics
// (https://docs.victoriametrics.com/victoriametrics/cluster-victoriametrics/#cluster-availability).
// Others ignore them.
func (r *reader) ask(ctx context.Context, query string) (backlog.Reading, error) {
	response, err := r.client.Do(ctx, httpapi.Request{
		Path:      queryPath,
		Query:     url.Values{"query": {query}, "partial_response": {"false"}, "deny_partial_response": {"1"}},
		ErrorText: errorText,
	})
	at := time.Now()
	switch {
	case err != nil:
		return backlog.Reading{}, err
	case response.Status == http.StatusNotFound:
		return backlog.Reading{}, backlog.WithAdvice(response.Error(backlog.ErrMismatch),
			"url: "+servedUnder(queryPath))
	case response.Status >= http.StatusBadRequest:
		return backlog.Reading{}, response.Error(backlog.ErrMismatch)
	}
	reading, err := parse(response.Body)
	if err != nil {
		return backlog.Reading{}, err
	}
	reading.At = at
	return reading, nil
}

// servedUnder describes the address of an API.
func servedUnder(path string) string {
	return "the address under which " + path + " is served; Mimir has it below /prometheus, VictoriaMetrics below /select/0/prometheus in a cluster"
}

// errorText returns the description of an error, such as "bad_data: parse error: ...".
func errorText(body []byte) string {
	var a answer
	if json.Unmarshal(body, &a) != nil || a.Error == "" {
		return ""
	}
	return strings.TrimPrefix(a.ErrorType+": "+a.Error, ": ")
}

// maxBuildInfo bounds the question for the version, which delays the first reading.
const maxBuildInfo = 500 * time.Millisecond

// nameServer asks for the name and version of the server once. A server that does not say so is
// called by the name of its API.
func (r *reader) nameServer(ctx context.Context) {
	if r.asked.Swap(true) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, maxBuildInfo)
	defer cancel()
	name := "prometheus"
	response, err := r.client.Do(ctx, httpapi.Request{Path: buildInfoPath})
	if err == nil && response.Status == http.StatusOK {
		name = serverName(response.Body)
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		r.asked.Store(false)
		return
	}
	r.name.Store(&name)
}

// maxName is how many bytes of a server's name or version are kept.
const maxName = 60

// serverName returns the name and version of a server from its build information. Mimir adds
// its name.
func serverName(body []byte) string {
	var info struct {
		Data struct {
			Application string `json:"application"`
			Version     string `json:"version"`
		} `json:"data"`
	}
	if json.Unmarshal(body, &info) != nil || len(info.Data.Application)+len(info.Data.Version) > maxName {
		return "prometheus"
	}
	name := "prometheus"
	if info.Data.Application != "" {
		name = strings.ToLower(info.Data.Application)
	}
	return backlog.Line(strings.TrimSpace(name + " " + info.Data.Version))
}
