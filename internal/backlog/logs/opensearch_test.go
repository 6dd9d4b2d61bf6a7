package logs_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/logs"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/logs/logstest"
)

// TestOpenSearch runs all on one server, because each is a Java program.
//
//nolint:tparallel // one after the other, because the last one ends the server
func TestOpenSearch(t *testing.T) {
	t.Parallel()
	server := logstest.StartOpenSearch(t)
	t.Run("queries", func(t *testing.T) { searches(t, server) })
	t.Run("conformance", func(t *testing.T) { conformance(t, server) })
	t.Run("stops", func(t *testing.T) {
		source := open(t, map[string]any{"server": "elasticsearch", "url": server.URL})
		q := query("*", "index", "logs-other")
		verify(t, readAnswer(t, source, q), counts(q, 9))
		server.Kill()
		verifyStopped(t, source, q)
	})
}

// in returns a query of an index.
func in(index, text string, params ...string) backlog.Query {
	return query(text, append(params, "index", index)...)
}

func searches(t *testing.T, server *logstest.Server) {
	t.Helper()
	fill(t, server)
	server.Add(t, "logs-other", entries(9, time.Second, "error", "billing", "shop")...)
	server.Do(t, http.MethodPut, "/timeless/_doc/1?refresh=true", "application/json", `{"message": "error", "when": "today"}`)
	settings := map[string]any{"server": "opensearch", "url": server.URL}
	t.Run("count", func(t *testing.T) {
		t.Parallel()
		check(t, open(t, settings), map[string]reading{
			"one app":                 counts(in("logs-app", "app:billing AND message:error"), 15),
			"another":                 counts(in("logs-app", "app:mail"), 4),
			"everything":              counts(in("logs-app", "*"), 21),
			"a longer window":         counts(in("logs-app", "app:billing AND message:error", "window", "1h"), 21),
			"several indices":         counts(in("logs-app,logs-other", "*"), 30),
			"a pattern of indices":    counts(in("logs-*", "*"), 30),
			"without one of them":     counts(in("logs-*,-logs-other", "*"), 21),
			"a field of time":         counts(in("logs-app", "*", "timeField", "@timestamp"), 21),
			"nothing found":           counts(in("logs-app", "app:nosuch"), 0),
			"nothing in the window":   counts(in("logs-app", "message:old"), 0),
			"no index":                fails(query("*"), backlog.ErrMismatch, "index: required"),
			"a missing index":         fails(in("nosuch", "*"), backlog.ErrMismatch, "no such index", "index: one that exists"),
			"a pattern of none":       fails(in("nosuch-*", "*"), backlog.ErrMismatch, "no such index"),
			"one of them is missing":  fails(in("logs-app,nosuch", "*"), backlog.ErrMismatch, "no such index"),
			"no field of time":        fails(in("timeless", "*"), backlog.ErrMismatch, `no field "@timestamp"`, "timeField"),
			"a field of another type": fails(in("timeless", "*", "timeField", "when"), backlog.ErrMismatch, `"when"`),
			"a wrong query":           fails(in("logs-app", "app:(mail"), backlog.ErrMismatch, "the server answers 400", "Failed to parse query"),
			"another path":            fails(in("../_search", "*"), backlog.ErrMismatch, "index"),
			"another API":             fails(in("_all", "*"), backlog.ErrMismatch, "index"),
			"another cluster":         fails(in("eu:logs", "*"), backlog.ErrMismatch, "another cluster"),
		})
	})
	t.Run("filter", func(t *testing.T) {
		t.Parallel()
		source := open(t, with(settings, map[string]any{"filter": `namespace.keyword:"{namespace}"`}))
		verifyNamespaces(t, source, "app:billing AND message:error", "index", "logs-app")
		check(t, source, map[string]reading{
			"another namespace in the query": counts(of("shop", in("logs-app", "namespace.keyword:bank")), 0),
			"or another namespace":           counts(of("shop", in("logs-app", "message:error OR namespace.keyword:bank")), 11),
			"parentheses that leave":         fails(of("shop", in("logs-app", "app:mail) OR (app:billing")), backlog.ErrMismatch, "the server answers 400"),
		})
	})
	t.Run("Probe", func(t *testing.T) {
		t.Parallel()
		verifyProbe(t, settings, "opensearch 2.19.6")
	})
}

// conformance runs the suite of all engines. Each query has an index of its own.
func conformance(t *testing.T, server *logstest.Server) {
	t.Helper()
	var names atomic.Int64
	backlogtest.Exercise(t, backlogtest.Harness{
		Engine:  logs.Engine(),
		Address: strings.TrimPrefix(server.URL, "http://"),
		Connection: func(address string) backlog.Connection {
			return backlog.Connection{Name: "logs", Engine: "logs", Settings: backlog.NewSettings(map[string]any{
				"server": "opensearch", "url": "http://" + address, "answerTimeout": 5 * time.Second,
			})}
		},
		GarbageIsMismatch: true,
		Cases: []backlogtest.Case{{
			Name:  "entries",
			Whole: true,
			Query: func(testing.TB) backlog.Query {
				return in(fmt.Sprintf("conformance-%d", names.Add(1)), "message:error")
			},
			Set: func(t testing.TB, q backlog.Query, number float64) {
				t.Helper()
				index := q.Params.Get("index")
				server.Do(t, http.MethodDelete, "/"+index+"?ignore_unavailable=true", "", "")
				server.Do(t, http.MethodPut, "/"+index, "application/json", `{"mappings": {"properties": {"@timestamp": {"type": "date"}}}}`)
				if number > 0 {
					server.Add(t, index, entries(int(number), time.Second, "error", "billing", "shop")...)
				}
			},
			Corrupt: func(t testing.TB, q backlog.Query) {
				t.Helper()
				server.Do(t, http.MethodPut, "/"+q.Params.Get("index")+"/_doc/1?refresh=true", "application/json", `{"message": "error"}`)
			},
		}},
	})
}
