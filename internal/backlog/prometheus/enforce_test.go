package prometheus

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

func TestEnforce(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		`up`:                   `up{namespace="shop"}`,
		`{job="a"}`:            `{job="a",namespace="shop"}`,
		`up{namespace=~"s.*"}`: `up{namespace="shop",namespace=~"s.*"}`,
		`up{namespace!="web"}`: `up{namespace!="web",namespace="shop"}`,
		`sum by (namespace) (rate(a[5m] offset 1m)) / on () b`: `sum by (namespace) (rate(a{namespace="shop"}[5m] offset 1m)) / on () b{namespace="shop"}`,
		`max_over_time(sum(a)[1h:1m])`:                         `max_over_time(sum(a{namespace="shop"})[1h:1m])`,
		`absent(a) or vector(0)`:                               `absent(a{namespace="shop"}) or vector(0)`,
		`label_replace(a, "namespace", "web", "", "")`:         `label_replace(a{namespace="shop"}, "namespace", "web", "", "")`,
		`1 + 2`: `1 + 2`,
	} {
		got, err := enforce(query, "namespace", "shop")
		if err != nil {
			t.Errorf("%s: %v", query, err)
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", query, diff)
		}
	}
}

func TestEnforceRefuses(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		`up{namespace="web"}`:                   `selects another namespace: it has namespace="web", and the connection limits it to namespace="shop"`,
		`up{namespace=~"web|other"}`:            "selects another namespace",
		`up{namespace!="shop"}`:                 "selects another namespace",
		`a + on () sum(b{namespace=""})`:        "selects another namespace",
		`max_over_time(a{namespace="web"}[1h])`: "selects another namespace",
		`up{`:                                   "is not valid PromQL: 1:4: parse error",
		``:                                      "is not valid PromQL",
		`info(up)`:                              "is not valid PromQL",
		`up) or (up`:                            "is not valid PromQL",
		strings.Repeat("(", 4000):               "is not valid PromQL",
	} {
		settings := backlog.NewSettings(map[string]any{namespaceLabel: "namespace"})
		err := checkNamespace(settings, backlog.Query{Queue: query, Namespace: "shop"})
		if err == nil || !strings.HasPrefix(err.Error(), "query: "+want) {
			t.Errorf("%q: got %v, want %q", query, err, want)
		}
	}
	if got, err := enforce("up", "namespace", ""); !errors.Is(err, errNoNamespace) {
		t.Errorf("without a namespace: got %q and %v", got, err)
	}
}

// FuzzEnforce has any query and namespace. What is sent is PromQL in which each selector is limited
// to the namespace.
func FuzzEnforce(f *testing.F) {
	f.Add(`sum(rate(a{b="c"}[5m])) / on () d`, "shop")
	f.Add(`{__name__=~".+"}`, `a"b\`)
	f.Add("up # } comment", "")
	f.Fuzz(func(t *testing.T, query, namespace string) {
		sent, err := enforce(query, "namespace", namespace)
		if err != nil {
			return
		}
		parsed, err := parser.NewParser(parser.Options{}).ParseExpr(sent)
		if err != nil {
			t.Fatalf("%q becomes %q: %v", query, sent, err)
		}
		for _, selector := range parser.ExtractSelectors(parsed) {
			limited := false
			for _, m := range selector {
				limited = limited || m.Name == "namespace" && m.Type.String() == "=" && m.Value == namespace
			}
			if !limited {
				t.Errorf("%q becomes %q, where %v is not limited", query, sent, selector)
			}
		}
	})
}

// FuzzParse has any answer. A number is finite, and never comes with an error.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"0.93"]}]}}`))
	f.Add([]byte(`{"status":"success","data":{"resultType":"scalar","result":[1,"-Inf"]}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		reading, err := parse(body)
		if (err == nil) != reading.Measured.Known {
			t.Errorf("%q is %+v and %v", body, reading, err)
		}
		if len(reading.Warning) > 4*maxText*maxWarnings {
			t.Errorf("a warning of %d bytes", len(reading.Warning))
		}
		_ = errorText(body)
		_ = serverName(body)
	})
}
