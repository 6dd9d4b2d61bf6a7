package prometheus_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/prometheus"
)

// ranging returns what asks a server that answers range queries with a status and a body.
func ranging(t *testing.T, status int, body string) backlog.Ranger {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v1/query_range" || r.Method != http.MethodPost || r.FormValue("step") != "60.000" || r.FormValue("query") != "up" {
			t.Errorf("%s %s with %v", r.Method, r.URL, r.Form)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	ranger, ok := backlogtest.Open(t, prometheus.Engine(), connection(server.URL, nil)).(backlog.Ranger)
	if !ok {
		t.Fatal("the source has no ranges")
	}
	return ranger
}

// TestRanges has answers to range queries. What is no number is left out.
func TestRanges(t *testing.T) {
	t.Parallel()
	const matrix = `{"status":"success","data":{"resultType":"matrix","result":`
	for name, tc := range map[string]struct {
		status int
		body   string
		want   []backlog.Point
		text   string
		err    error
	}{
		"one":            {200, matrix + `[{"metric":{},"values":[[60,"1.5"],[120.5,"NaN"],[180,"+Inf"],[240,"2"]]}]}}`, []backlog.Point{{At: time.Unix(60, 0), Value: 1.5}, {At: time.Unix(240, 0), Value: 2}}, "", nil},
		"none":           {200, matrix + `[]}}`, nil, "", nil},
		"several series": {200, matrix + `[{},{}]}}`, nil, "2 series, want one; put sum(...) around the query", backlog.ErrMismatch},
		"histograms":     {200, matrix + `[{"histograms":[[1,{}]]}]}}`, nil, "yields histograms", backlog.ErrMismatch},
		"a vector":       {200, `{"status":"success","data":{"resultType":"vector","result":[]}}`, nil, `type "vector", want matrix`, backlog.ErrMismatch},
		"no matrix":      {200, matrix + `3}}`, nil, "no matrix", backlog.ErrMismatch},
		"no number":      {200, matrix + `[{"values":[[1,"x"]]}]}}`, nil, `"x" is not a number`, backlog.ErrMismatch},
		"no time":        {200, matrix + `[{"values":[["x","1"]]}]}}`, nil, "without a time or a number", backlog.ErrMismatch},
		"null":           {200, matrix + `[{"values":[null]}]}}`, nil, "without a time or a number", backlog.ErrMismatch},
		"partial":        {200, `{"status":"success","isPartial":true,"data":{"resultType":"matrix","result":[]}}`, nil, "a part of the series is missing", backlog.ErrPartial},
		"an error":       {200, `{"status":"error","errorType":"timeout","error":"too\nlong"}`, nil, `"timeout": "too\\nlong"`, backlog.ErrUnavailable},
		"no JSON":        {200, `hello`, nil, "not the JSON of Prometheus", backlog.ErrMismatch},
		"400":            {400, `{"status":"error","errorType":"bad_data","error":"exceeded maximum resolution"}`, nil, "exceeded maximum resolution", backlog.ErrMismatch},
		"404":            {404, `no`, nil, "change: url: the address under which /api/v1/query_range is served", backlog.ErrMismatch},
		"401":            {401, `no`, nil, "username and password, or token", backlog.ErrDenied},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := ranging(t, tc.status, tc.body).Range(t.Context(), "up", time.Unix(60, 0), time.Unix(240, 0), time.Minute)
			if tc.err != nil {
				if !errors.Is(err, tc.err) || !strings.Contains(err.Error(), tc.text) {
					t.Errorf("error %v, want %v with %q", err, tc.err, tc.text)
				}
				return
			}
			if diff := cmp.Diff(tc.want, got); err != nil || diff != "" {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}
