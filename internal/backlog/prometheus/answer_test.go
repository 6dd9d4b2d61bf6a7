package prometheus_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/prometheus"
)

// answering returns the URL of a server that answers all queries with a status and a body, and says
// nothing of its version.
func answering(t testing.TB, status int, body string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v1/query" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// TestAnswers has answers of servers that behave in ways in which a real one does not, or seldom.
func TestAnswers(t *testing.T) {
	t.Parallel()
	const one = `{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"0.93"]}]}`
	for name, c := range map[string]struct {
		status int
		body   string
		// want is the number, or part of the error.
		want string
		err  error
		// warning is that of the reading.
		warning string
	}{
		"one":              {200, one + "}", "0.93", nil, ""},
		"a scalar":         {200, `{"status":"success","data":{"resultType":"scalar","result":[1,"-2e3"]}}`, "-2000", nil, ""},
		"warnings":         {200, one + `,"warnings":["a","b\nc"],"infos":["d","e"]}`, "0.93", nil, `a; b\nc; d`},
		"a long warning":   {200, one + `,"warnings":["` + strings.Repeat("w", 1000) + `"]}`, "0.93", nil, strings.Repeat("w", 200) + "..."},
		"a partial answer": {200, one + `,"isPartial":true}`, "a part of the series is missing", backlog.ErrPartial, ""},
		"null":             {200, `null`, "neither a success nor an error", backlog.ErrMismatch, ""},
		"an empty body":    {200, ``, "not the JSON of Prometheus", backlog.ErrMismatch, ""},
		"an object":        {200, `{}`, "neither a success nor an error", backlog.ErrMismatch, ""},
		"no data":          {200, `{"status":"success"}`, `a result of the type ""`, backlog.ErrMismatch, ""},
		"no result":        {200, `{"status":"success","data":{"resultType":"vector"}}`, "no vector", backlog.ErrMismatch, ""},
		"a null result":    {200, `{"status":"success","data":{"resultType":"vector","result":null}}`, "no vector", backlog.ErrMismatch, ""},
		"a null sample":    {200, `{"status":"success","data":{"resultType":"vector","result":[null]}}`, "no value", backlog.ErrMismatch, ""},
		"an empty sample":  {200, `{"status":"success","data":{"resultType":"vector","result":[{}]}}`, "no value", backlog.ErrMismatch, ""},
		"a bare number":    {200, `{"status":"success","data":{"resultType":"vector","result":[{"value":[1,5]}]}}`, "no value", backlog.ErrMismatch, ""},
		"a short pair":     {200, `{"status":"success","data":{"resultType":"vector","result":[{"value":["5"]}]}}`, "no value", backlog.ErrMismatch, ""},
		"no number":        {200, `{"status":"success","data":{"resultType":"vector","result":[{"value":[1,"five"]}]}}`, `"five" is not a number`, backlog.ErrMismatch, ""},
		"an empty number":  {200, `{"status":"success","data":{"resultType":"vector","result":[{"value":[1,""]}]}}`, `"" is not a number`, backlog.ErrMismatch, ""},
		"NaN":              {200, `{"status":"success","data":{"resultType":"vector","result":[{"value":[1,"NaN"]}]}}`, "NaN is not a number", backlog.ErrMismatch, ""},
		"a histogram":      {200, `{"status":"success","data":{"resultType":"vector","result":[{"histogram":[1,{}]}]}}`, "yields a histogram", backlog.ErrMismatch, ""},
		"another type":     {200, `{"status":"success","data":{"resultType":"streams","result":[]}}`, `the type "streams"`, backlog.ErrMismatch, ""},
		"nested":           {200, strings.Repeat("[", 500_000), "not the JSON of Prometheus", backlog.ErrMismatch, ""},
		"cut":              {200, one, "not the JSON of Prometheus", backlog.ErrMismatch, ""},
		"two documents":    {200, one + "}{}", "not the JSON of Prometheus", backlog.ErrMismatch, ""},
		"a timeout":        {200, `{"status":"error","errorType":"timeout","error":"took too long"}`, `"timeout": "took too long"`, backlog.ErrUnavailable, ""},
		"an error":         {200, `{"status":"error","errorType":"bad_data","error":"wrong"}`, `"bad_data": "wrong"`, backlog.ErrMismatch, ""},
		"503":              {503, `{"status":"error","errorType":"unavailable","error":"starting"}`, `503 Service Unavailable: "unavailable: starting"`, backlog.ErrUnavailable, ""},
		"503 without JSON": {503, `starting`, "503 Service Unavailable", backlog.ErrUnavailable, ""},
		"422":              {422, `{"status":"error","errorType":"execution","error":"many-to-many"}`, `422 Unprocessable Entity: "execution: many-to-many"`, backlog.ErrMismatch, ""},
		"400":              {400, `{"status":"error","errorType":"bad_data","error":"parse error"}`, `400 Bad Request: "bad_data: parse error"`, backlog.ErrMismatch, ""},
		"404":              {404, `not found`, "change: url: the address under which /api/v1/query is served", backlog.ErrMismatch, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source := backlogtest.Open(t, prometheus.Engine(), connection(answering(t, c.status, c.body), nil))
			r := backlogtest.Read(t, source, query("x"))[0]
			if c.err != nil {
				if !errors.Is(r.Err, c.err) || !strings.Contains(r.Err.Error(), c.want) {
					t.Errorf("got %+v, want %v with %q", r, c.err, c.want)
				}
				return
			}
			if r.Err != nil || r.Reading.Measured.String() != c.want || r.Reading.Warning != c.warning {
				t.Errorf("got %+v, want %s", r, c.want)
			}
			if got := source.Status().Server; got != "prometheus" {
				t.Errorf("the server is %q", got)
			}
		})
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	engine := prometheus.Engine()
	for label, want := range map[string]string{"namespace": "", "k8s_ns": "", "a-b": "namespaceLabel: want a label name", "": ""} {
		err := engine.Check(connection("http://x", map[string]any{"namespaceLabel": label}).Settings)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("label %q: got %v, want %q", label, err, want)
		}
	}
	if err := engine.Layouts[0].Check(query(strings.Repeat("x", 4097))); err == nil || !strings.Contains(err.Error(), "has 4097 bytes, want at most 4096") {
		t.Errorf("got %v for a long query", err)
	}
}
