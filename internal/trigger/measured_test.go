package trigger_test

import (
	"strings"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

// measuring is a catalog with an engine that measures. Its connection shared limits queries to a
// namespace.
func measuring() *trigger.Catalog {
	limited := backlog.NewSettings(map[string]any{"label": "namespace"})
	return trigger.NewCatalog(
		[]backlog.Connection{
			{Name: "metrics", Engine: "metrics", Namespaces: []string{"*"}},
			{Name: "shared", Engine: "metrics", Namespaces: []string{"*"}, Settings: limited},
		},
		[]backlog.Engine{{Name: "metrics", Layouts: []backlog.Layout{{
			Name: "query", Queue: "query", Measures: true,
			PerNamespace: func(s backlog.Settings) bool { return s.Text("label") != "" },
		}}}},
	)
}

// TestMeasuredQuery has a query with commas, which is verbatim and longer than the name of a queue.
func TestMeasuredQuery(t *testing.T) {
	t.Parallel()
	query := `sum by (a, b) (rate(x{y="` + strings.Repeat("z", 2000) + `"}[5m]))`
	for connection, namespace := range map[string]string{"metrics": "", "shared": "shop"} {
		got, err := measuring().Parse("shop", map[string]string{"connection": connection, "query": query, "target": "0.25", "holdActive": "5m"})
		if err != nil {
			t.Fatal(err)
		}
		if want := (backlog.Query{Layout: "query", Queue: query, Namespace: namespace}); got.Query != want {
			t.Errorf("on %s the query is %+v, want %+v", connection, got.Query, want)
		}
		if got.Policy.Target != 0.25 || got.Policy.Traceless {
			t.Errorf("the policy is %+v", got.Policy)
		}
	}
}

// TestMeasuredRejects has keys that are about messages.
func TestMeasuredRejects(t *testing.T) {
	t.Parallel()
	for key, value := range map[string]string{"count": "ready", "maxAge": "1m", "missing": "zero", "drainTime": "1m"} {
		metadata := map[string]string{"connection": "metrics", "query": "x", key: value}
		if key == "drainTime" {
			metadata["throughput"] = "2"
		}
		_, err := measuring().Parse("shop", metadata)
		if want := key + ": is for the messages of a queue, and a query measures a number"; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", key, err, want)
		}
	}
	for key, value := range map[string]string{"weights": "a=2", "combine": "max"} {
		_, err := measuring().Parse("shop", map[string]string{"connection": "metrics", "query": strings.Repeat("x", 2000), key: value})
		if want := key + ": is for several queues, and query names one"; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", key, err, want)
		}
	}
}
