package prometheus_test

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/prometheus"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/prometheus/prometheustest"
)

// patience is the bound of answers that are not to reach it.
const patience = time.Minute

func connection(url string, more map[string]any) backlog.Connection {
	settings := map[string]any{"url": url, "answerTimeout": patience}
	maps.Copy(settings, more)
	return backlog.Connection{Name: "metrics", Engine: "prometheus", Settings: backlog.NewSettings(settings)}
}

func query(text string) backlog.Query { return backlog.Query{Layout: "query", Queue: text} }

// TestPrometheus holds the engine to the conformance suite and to its own promises, on one real
// server, because a server takes seconds until its first sample.
func TestPrometheus(t *testing.T) {
	t.Parallel()
	server := prometheustest.Start(t)
	t.Run("conformance", func(t *testing.T) {
		t.Parallel()
		conformance(t, server)
	})
	t.Run("queries", func(t *testing.T) {
		t.Parallel()
		realQueries(t, server)
	})
	t.Run("namespaces", func(t *testing.T) {
		t.Parallel()
		realNamespaces(t, server)
	})
}

func conformance(t *testing.T, server *prometheustest.Server) {
	t.Helper()
	var names atomic.Int64
	backlogtest.Exercise(t, backlogtest.Harness{
		Engine:            prometheus.Engine(),
		Address:           server.Addr(),
		Connection:        func(address string) backlog.Connection { return connection("http://"+address, nil) },
		GarbageIsMismatch: true,
		Cases: []backlogtest.Case{{
			Name:  "gauge",
			Query: func(testing.TB) backlog.Query { return query(fmt.Sprintf("conformance_%d", names.Add(1))) },
			Set: func(t testing.TB, q backlog.Query, number float64) {
				t.Helper()
				server.Set(t, q.Queue, number)
			},
			Corrupt: func(t testing.TB, q backlog.Query) {
				t.Helper()
				server.Set(t, q.Queue+`{of="one"}`, 1)
				server.Set(t, q.Queue+`{of="two"}`, 2)
			},
		}},
	})
}

// realQueries reads what a real server answers, and compares its errors.
func realQueries(t *testing.T, server *prometheustest.Server) {
	t.Helper()
	server.Set(t, `jobs{namespace="shop",queue="mail"}`, 3)
	server.Set(t, `jobs{namespace="shop",queue="bills"}`, 4.5)
	source := backlogtest.Open(t, prometheus.Engine(), connection(server.URL, nil))
	for text, want := range map[string]string{
		`sum(jobs)`:                        "7.5",
		`jobs{queue="mail"} / 1000`:        "0.003",
		`scalar(sum(jobs)) + 1`:            "8.5",
		`42`:                               "42",
		`sum(nothing) or vector(0)`:        "0",
		`max_over_time(sum(jobs)[5s:1ms])`: "7.5",
		`nothing`:                          "no series matches",
		`jobs`:                             "yields 2 samples",
		`jobs[5m]`:                         "range of samples",
		`"text"`:                           "yields a text",
		`0/0`:                              "NaN",
		`1/0`:                              "+Inf",
		`sum(jobs) * 1e300`:                "is not a number that can be scaled by",
		`sum(`:                             `400 Bad Request: "bad_data: `,
		`jobs * on (namespace) jobs`:       "422 Unprocessable Entity: \"execution: ",
	} {
		r := backlogtest.Read(t, source, query(text))[0]
		switch {
		case r.Err == nil && r.Reading.Measured.String() != want:
			t.Errorf("%s is %+v, want %s", text, r.Reading, want)
		case r.Err != nil && (!strings.Contains(r.Err.Error(), want) || !errors.Is(r.Err, backlog.ErrMismatch)):
			t.Errorf("%s is %v, want %s", text, r.Err, want)
		}
	}
	if got := source.Status().Server; !strings.HasPrefix(got, "prometheus 2.") && !strings.HasPrefix(got, "prometheus 3.") {
		t.Errorf("the server is %q", got)
	}
	prober, ok := source.(backlog.Prober)
	if !ok {
		t.Fatal("the source does not verify its connection")
	}
	if err := prober.Probe(t.Context()); err != nil {
		t.Error(err)
	}
}

// realNamespaces reads as tenants that share a connection.
func realNamespaces(t *testing.T, server *prometheustest.Server) {
	t.Helper()
	server.Set(t, `tenants{namespace="shop"}`, 1)
	server.Set(t, `tenants{namespace="web"}`, 2)
	source := backlogtest.Open(t, prometheus.Engine(), connection(server.URL, map[string]any{"namespaceLabel": "namespace"}))
	for _, c := range []struct{ namespace, text, want string }{
		{"shop", `sum(tenants)`, "1"},
		{"web", `sum(tenants)`, "2"},
		{"shop", `sum(tenants{namespace=~".+"}) + sum(tenants or tenants)`, "2"},
		{"shop", `max_over_time(sum({__name__="tenants"})[5s:1ms])`, "1"},
		{"shop", `sum(tenants{namespace="web"})`, "selects another namespace"},
		{"other", `sum(tenants)`, "no series matches"},
		{"", `sum(tenants)`, "has no namespace"},
		{"shop", `sum(`, "not valid PromQL"},
		{"shop", `vector(1)`, "1"},
	} {
		q := query(c.text)
		q.Namespace = c.namespace
		r := backlogtest.Read(t, source, q)[0]
		if r.Err == nil && r.Reading.Measured.String() != c.want || r.Err != nil && !strings.Contains(r.Err.Error(), c.want) {
			t.Errorf("%s in %q is %+v, want %s", c.text, c.namespace, r, c.want)
		}
	}
}
