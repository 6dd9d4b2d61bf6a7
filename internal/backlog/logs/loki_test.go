package logs_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/logs/logstest"
)

func TestLoki(t *testing.T) {
	t.Parallel()
	server := logstest.StartLoki(t).With(http.Header{"X-Scope-Orgid": {"shops"}})
	fill(t, server)
	settings := map[string]any{"server": "loki", "url": server.URL, "tenant": "shops"}
	t.Run("count", func(t *testing.T) {
		t.Parallel()
		check(t, open(t, settings), map[string]reading{
			"one app":                counts(query(`{app="billing"} |= "error"`), 15),
			"another":                counts(query(`{app="mail"}`), 4),
			"everything":             counts(query(`{app=~".+"}`), 21),
			"blanks":                 counts(query("  { app = \"mail\" , namespace != `bank` }  "), 4),
			"a longer window":        counts(query(`{app="billing"} |= "error"`, "window", "1h"), 21),
			"several filters":        counts(query(`{app="billing", namespace="shop"} |= "error" != "old" |~ "a.b"`), 7),
			"a brace in quotes":      counts(query(`{app="billing"} |= "{x} (y)"`), 7),
			"a backtick":             counts(query("{app=\"billing\"} |= `a|b`"), 7),
			"found or 0":             counts(query(`{app="mail"} or vector(0)`), 4),
			"nothing found or 0":     counts(query(`{app="mail"} |= "nonsense" or vector( 0 )`), 0),
			"no such stream or 0":    counts(query(`{app="nosuch"} or vector(0)`), 0),
			"nothing found":          fails(query(`{app="mail"} |= "nonsense"`), backlog.ErrMismatch, "no such stream", "or vector(0)"),
			"no such stream":         fails(query(`{app="nosuch"}`), backlog.ErrMismatch, "or vector(0)"),
			"or vector(0) in quotes": fails(query(`{app="mail"} |= "x or vector(0)"`), backlog.ErrMismatch, "no such stream"),
			"a number":               fails(query(`sum(rate({app="mail"}[5m]))`), backlog.ErrMismatch, "stream selector"),
			"a range":                fails(query(`{app="mail"}[5m]`), backlog.ErrMismatch, "window"),
			"parentheses that leave": fails(query(`{app="mail"} |= "x"))[1h])) or sum(count_over_time(({app="bank"}`), backlog.ErrMismatch, "closes nothing"),
			"an unfinished filter":   fails(query(`{app="mail"} |= `), backlog.ErrMismatch, "the server answers 400", "parse error"),
			"an empty selector":      fails(query(`{}`), backlog.ErrMismatch, "label matchers"),
			"an index":               fails(query(`{app="mail"}`, "index", "logs-app"), backlog.ErrMismatch, "index", "loki"),
		})
	})
	t.Run("filter", func(t *testing.T) {
		t.Parallel()
		source := open(t, with(settings, map[string]any{"filter": `namespace="{namespace}"`}))
		verifyNamespaces(t, source, `{app="billing"} |= "error"`)
		check(t, source, map[string]reading{
			"a label of the connection": fails(of("shop", query(`{namespace="bank"}`)), backlog.ErrMismatch, "label namespace"),
			"a pattern of that label":   fails(of("shop", query(`{app="billing", namespace=~".+"}`)), backlog.ErrMismatch, "label namespace"),
			"a second selector":         fails(of("shop", query(`{app="billing"} or {app="bank"}`)), backlog.ErrMismatch, "stream selector"),
		})
	})
	t.Run("Probe", func(t *testing.T) {
		t.Parallel()
		verifyProbe(t, settings, "loki")
		prober, _ := open(t, map[string]any{"server": "loki", "url": server.URL}).(backlog.Prober)
		if err := prober.Probe(t.Context()); !errors.Is(err, backlog.ErrDenied) || !strings.Contains(err.Error(), `connection "logs"`) {
			t.Errorf("without a tenant the error is %v", err)
		}
	})
	t.Run("tenant", func(t *testing.T) {
		t.Parallel()
		q := query(`{app="mail"}`)
		verify(t, readAnswer(t, open(t, with(settings, map[string]any{"tenant": "others"})), q), fails(q, backlog.ErrMismatch, "no such stream"))
		verify(t, readAnswer(t, open(t, map[string]any{"server": "loki", "url": server.URL}), q), fails(q, backlog.ErrDenied))
	})
}

func TestLokiStops(t *testing.T) {
	t.Parallel()
	server := logstest.StartLoki(t)
	source := open(t, map[string]any{"server": "loki", "url": server.URL, "tenant": "shops"})
	q := query(`{app="mail"} or vector(0)`)
	verify(t, readAnswer(t, source, q), counts(q, 0))
	server.Kill()
	verifyStopped(t, source, q)
}
