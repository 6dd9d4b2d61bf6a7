package logs_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/logs/logstest"
)

// entries returns n entries of a stream, a second apart, the last of them at the given age.
func entries(n int, age time.Duration, text, app, namespace string) []logstest.Entry {
	all := make([]logstest.Entry, n)
	last := time.Now().Add(-age)
	for i := range all {
		all[i] = logstest.Entry{
			At: last.Add(time.Duration(i-n+1) * time.Second), Text: fmt.Sprintf("%s %d", text, i),
			Fields: map[string]string{"app": app, "namespace": namespace},
		}
	}
	return all
}

// fill adds the entries that the tests of all servers count. In the last five minutes are, in the
// namespace shop, 7 errors and 2 others of billing and 4 errors of mail; in shop-eu 3 errors of
// billing; in bank 5. In the last hour, shop has 6 errors of billing more.
func fill(t *testing.T, server *logstest.Server) {
	t.Helper()
	const index = "logs-app"
	server.Add(t, index, entries(6, 20*time.Minute, "error: old", "billing", "shop")...)
	server.Add(t, index, entries(7, 20*time.Second, "error: a|b {x} (y)", "billing", "shop")...)
	server.Add(t, index, entries(2, 10*time.Second, "fine", "billing", "shop")...)
	server.Add(t, index, entries(4, 10*time.Second, "error: bounced", "mail", "shop")...)
	server.Add(t, index, entries(3, 10*time.Second, "error: late", "billing", "shop-eu")...)
	server.Add(t, index, entries(5, 10*time.Second, "error: refused", "billing", "bank")...)
}

func TestVictoriaLogs(t *testing.T) {
	t.Parallel()
	server := logstest.StartVictoriaLogs(t)
	fill(t, server)
	settings := map[string]any{"server": "victorialogs", "url": server.URL}
	t.Run("count", func(t *testing.T) {
		t.Parallel()
		check(t, open(t, settings), map[string]reading{
			"one app":                   counts(query("app:=billing error"), 15),
			"another":                   counts(query("{app=mail}"), 4),
			"everything":                counts(query("*"), 21),
			"with or":                   counts(query("fine or bounced"), 6),
			"a longer window":           counts(query("app:=billing error", "window", "1h"), 21),
			"the longest window":        counts(query("*", "window", "24h"), 27),
			"a window of its own":       counts(query("_time:10m error", "window", "24h"), 19),
			"nothing found":             counts(query("app:=billing nonsense"), 0),
			"no such field":             counts(query("nosuch:=field"), 0),
			"a pipe in quotes":          counts(query(`_msg:~"a\\|b"`), 7),
			"an or in a pattern":        counts(query(`_msg:~"bounced|late"`), 7),
			"parentheses in quotes":     counts(query(`"(y)"`), 7),
			"a range":                   counts(query("_time:[now-1h, now) app:=mail"), 4),
			"pipes":                     fails(query("error | uniq by (app)"), backlog.ErrMismatch, "query", "pipe"),
			"a pipe that counts":        fails(query("error | stats count()"), backlog.ErrMismatch, "pipe"),
			"a subquery":                fails(query("app:in(error | fields app)"), backlog.ErrMismatch, "pipe"),
			"parentheses that leave":    fails(query("mail) or (billing"), backlog.ErrMismatch, "closes nothing"),
			"a comment":                 fails(query("error # nothing"), backlog.ErrMismatch, "comment"),
			"options":                   fails(query("options(time_offset=1h) error"), backlog.ErrMismatch, "the server answers"),
			"a pattern that is not one": fails(query(`_msg:~"["`), backlog.ErrMismatch, "the server answers", "regexp"),
			"an index":                  fails(query("error", "index", "logs-app"), backlog.ErrMismatch, "index", "victorialogs"),
			"a window without a unit":   fails(query("error", "window", "5"), backlog.ErrMismatch, "window", `"5"`),
		})
	})
	t.Run("filter", func(t *testing.T) {
		t.Parallel()
		verifyNamespaces(t, open(t, with(settings, map[string]any{"filter": `namespace:="{namespace}"`})), "app:=billing error")
	})
	t.Run("filter of the stream", func(t *testing.T) {
		t.Parallel()
		source := open(t, with(settings, map[string]any{"filter": `{namespace="{namespace}"}`}))
		verifyNamespaces(t, source, "app:=billing error")
		check(t, source, map[string]reading{
			"another namespace in the query": counts(of("shop", query("namespace:=bank")), 0),
			"or another namespace":           counts(of("shop", query("error or namespace:=bank")), 11),
			"not":                            counts(of("shop", query("!namespace:=shop")), 0),
		})
	})
	t.Run("tenant", func(t *testing.T) {
		t.Parallel()
		server.With(http.Header{"Accountid": {"12"}, "Projectid": {"34"}}).Add(t, "", entries(8, time.Second, "error", "billing", "shop")...)
		of := func(account, project int64) backlog.Source {
			return open(t, with(settings, map[string]any{"accountID": account, "projectID": project}))
		}
		verify(t, readAnswer(t, of(12, 34), query("error")), counts(query("error"), 8))
		verify(t, readAnswer(t, of(12, 0), query("error")), counts(query("error"), 0))
	})
	t.Run("Probe", func(t *testing.T) {
		t.Parallel()
		verifyProbe(t, settings, "victorialogs")
	})
	t.Run("Status", func(t *testing.T) {
		t.Parallel()
		source := open(t, settings)
		if s := source.Status(); s.Server != "" || s.WakeUp != "poll" {
			t.Errorf("the status is %+v before an answer", s)
		}
		readAnswer(t, source, query("*"))
		if s := source.Status(); s.Server != "victorialogs" {
			t.Errorf("the status is %+v", s)
		}
	})
}

// verifyNamespaces checks what a filter leaves of a query for the errors of billing.
func verifyNamespaces(t *testing.T, source backlog.Source, text string, params ...string) {
	t.Helper()
	q := query(text, params...)
	check(t, source, map[string]reading{
		"shop":           counts(of("shop", q), 7),
		"shop-eu":        counts(of("shop-eu", q), 3),
		"bank":           counts(of("bank", q), 5),
		"none":           fails(q, backlog.ErrDenied, "namespace"),
		"no name of one": fails(of(`" or "`, q), backlog.ErrDenied, "namespace"),
	})
}

// TestAnotherServer: a server of another kind than the settings say is noticed.
func TestAnotherServer(t *testing.T) {
	t.Parallel()
	server := logstest.StartVictoriaLogs(t)
	for kind, part := range map[string]string{"loki": "server: another one", "elasticsearch": "the server answers 400"} {
		source := open(t, map[string]any{"server": kind, "url": server.URL})
		verify(t, readAnswer(t, source, ask(kind)), fails(ask(kind), backlog.ErrMismatch, part))
	}
	source := open(t, map[string]any{"server": "victorialogs", "url": server.URL + "/below"})
	verify(t, readAnswer(t, source, query("*")), fails(query("*"), backlog.ErrMismatch, "url"))
}

func TestVictoriaLogsStops(t *testing.T) {
	t.Parallel()
	server := logstest.StartVictoriaLogs(t)
	source := open(t, map[string]any{"server": "victorialogs", "url": server.URL})
	verify(t, readAnswer(t, source, query("*")), counts(query("*"), 0))
	server.Kill()
	verifyStopped(t, source, query("*"))
}
