package logs_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// An answered is what a small server answers to every request.
type answered struct {
	status int
	body   string
	err    error
	// parts are in the error.
	parts []string
}

// vector returns the answer of VictoriaLogs and Loki with these results.
func vector(results string) string {
	return `{"status":"success","data":{"resultType":"vector","result":[` + results + `]}}`
}

func hits(number string) string { return vector(`{"metric":{},"value":[1,` + number + `]}`) }

// shards returns the answer of _count.
func shards(count string, total, successful, failed int) string {
	return fmt.Sprintf(`{"count":%s,"_shards":{"total":%d,"successful":%d,"skipped":0,"failed":%d,"failures":[{"shard":0,"reason":{"type":"x","reason":"too\nmany password=hunter2"}}]}}`, count, total, successful, failed)
}

// TestAnswersThatAreNone: nothing that a server may answer becomes a number that it has not said.
func TestAnswersThatAreNone(t *testing.T) {
	t.Parallel()
	anyServer := map[string]answered{
		"nothing":             {200, "", backlog.ErrMismatch, nil},
		"null":                {200, "null", backlog.ErrMismatch, nil},
		"an empty object":     {200, "{}", backlog.ErrMismatch, nil},
		"a list":              {200, "[]", backlog.ErrMismatch, nil},
		"a number":            {200, "7", backlog.ErrMismatch, nil},
		"a page":              {200, "<!DOCTYPE html><html>hunter2</html>", backlog.ErrMismatch, nil},
		"text":                {200, "7 hits", backlog.ErrMismatch, nil},
		"two objects":         {200, hits(`"7"`) + hits(`"8"`), backlog.ErrMismatch, nil},
		"cut off":             {200, hits(`"7"`)[:40], backlog.ErrMismatch, nil},
		"deep":                {200, strings.Repeat("[", 1<<17), backlog.ErrMismatch, nil},
		"more than a MiB":     {200, `{"a":"` + strings.Repeat("x", 2<<20) + `"}`, backlog.ErrMismatch, nil},
		"no content":          {204, "", backlog.ErrMismatch, nil},
		"created":             {201, hits(`"7"`), backlog.ErrMismatch, []string{"201"}},
		"a redirect":          {302, "", backlog.ErrMismatch, nil},
		"another path":        {404, "404 page not found", backlog.ErrMismatch, []string{"404", "server"}},
		"a login":             {401, "<p>hunter2", backlog.ErrDenied, nil},
		"no rights":           {403, "<p>hunter2", backlog.ErrDenied, nil},
		"too many requests":   {429, "<p>hunter2", backlog.ErrUnavailable, nil},
		"a failure":           {500, "<p>hunter2", backlog.ErrUnavailable, nil},
		"a gateway without":   {502, "<p>hunter2", backlog.ErrUnavailable, nil},
		"an error of a proxy": {400, `{"message":"no such route"}`, backlog.ErrMismatch, []string{"400"}},
	}
	vectors := map[string]answered{
		"an error in JSON":     {200, `{"status":"error","errorType":"x","error":"hunter2"}`, backlog.ErrMismatch, nil},
		"partial in name":      {200, `{"status":"partial","data":{"resultType":"vector","result":[{"value":[1,"7"]}]}}`, backlog.ErrMismatch, nil},
		"a matrix":             {200, `{"status":"success","data":{"resultType":"matrix","result":[{"values":[[1,"7"]]}]}}`, backlog.ErrMismatch, nil},
		"streams":              {200, `{"status":"success","data":{"resultType":"streams","result":[]}}`, backlog.ErrMismatch, nil},
		"no result":            {200, `{"status":"success","data":{"resultType":"vector"}}`, backlog.ErrMismatch, nil},
		"null as result":       {200, `{"status":"success","data":{"resultType":"vector","result":null}}`, backlog.ErrMismatch, nil},
		"an empty result":      {200, vector(""), backlog.ErrMismatch, nil},
		"two numbers":          {200, vector(`{"value":[1,"7"]},{"value":[1,"8"]}`), backlog.ErrMismatch, []string{"2 numbers"}},
		"no value":             {200, vector(`{"metric":{}}`), backlog.ErrMismatch, nil},
		"a value without time": {200, vector(`{"value":["7"]}`), backlog.ErrMismatch, nil},
		"a number as it is":    {200, hits("7"), backlog.ErrMismatch, []string{"no JSON string"}},
		"no number":            {200, hits(`"many"`), backlog.ErrMismatch, []string{`"many"`}},
		"an empty number":      {200, hits(`""`), backlog.ErrMismatch, nil},
		"NaN":                  {200, hits(`"NaN"`), backlog.ErrMismatch, nil},
		"infinite":             {200, hits(`"+Inf"`), backlog.ErrMismatch, nil},
		"negative":             {200, hits(`"-7"`), backlog.ErrMismatch, nil},
		"half an entry":        {200, hits(`"7.5"`), backlog.ErrMismatch, []string{"7.5"}},
		"too large":            {200, hits(`"1e300"`), backlog.ErrMismatch, nil},
		"a refused query":      {400, "parse error at line 1\nhunter2", backlog.ErrMismatch, []string{"parse error at line 1"}},
		"one not understood":   {422, "cannot parse", backlog.ErrMismatch, []string{"422", "cannot parse"}},
	}
	elastic := map[string]answered{
		"shards that failed":      {200, shards("7", 3, 2, 1), backlog.ErrPartial, []string{"2 of 3 shards", `too\nmany`}},
		"all shards failed":       {200, shards("0", 3, 0, 3), backlog.ErrPartial, nil},
		"shards that are missing": {200, shards("0", 3, 2, 0), backlog.ErrPartial, nil},
		"no shards":               {200, shards("0", 0, 0, 0), backlog.ErrMismatch, []string{"no index"}},
		"ended early":             {200, `{"count":7,"terminated_early":true,"_shards":{"total":1,"successful":1,"failed":0}}`, backlog.ErrPartial, nil},
		"no count":                {200, `{"_shards":{"total":1,"successful":1,"failed":0}}`, backlog.ErrMismatch, nil},
		"a count of null":         {200, shards("null", 1, 1, 0), backlog.ErrMismatch, nil},
		"no mention of shards":    {200, `{"count":7}`, backlog.ErrMismatch, nil},
		"a text as count":         {200, shards(`"7"`, 1, 1, 0), backlog.ErrMismatch, []string{"JSON string"}},
		"half an entry":           {200, shards("7.5", 1, 1, 0), backlog.ErrMismatch, nil},
		"negative":                {200, shards("-7", 1, 1, 0), backlog.ErrMismatch, nil},
		"too large":               {200, shards("99999999999999999999", 1, 1, 0), backlog.ErrMismatch, nil},
		"a missing index":         {404, `{"error":{"root_cause":[{"type":"index_not_found_exception","reason":"no such index [x]"}],"reason":"y"}}`, backlog.ErrMismatch, []string{"no such index [x]", "index"}},
		"a refused query":         {400, `{"error":{"root_cause":[{"reason":"Failed to parse"}],"reason":"all shards failed"},"status":400}`, backlog.ErrMismatch, []string{"Failed to parse"}},
		"a text as error":         {400, `{"error":"hunter2"}`, backlog.ErrMismatch, []string{"400"}},
	}
	for server, cases := range map[string][]map[string]answered{
		"victorialogs": {anyServer, vectors}, "loki": {anyServer, vectors}, "elasticsearch": {anyServer, elastic}, "opensearch": {elastic},
	} {
		for _, some := range cases {
			for name, c := range some {
				t.Run(server+"/"+name, func(t *testing.T) {
					t.Parallel()
					verifyAnswer(t, server, c)
				})
			}
		}
	}
}

// ask is a query that each server can be asked.
func ask(server string) backlog.Query {
	switch server {
	case "loki":
		return query(`{app="billing"}`)
	case "victorialogs":
		return query("error")
	default:
		return query("error", "index", "logs")
	}
}

func verifyAnswer(t *testing.T, server string, c answered) {
	t.Helper()
	small := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if c.status == http.StatusFound {
			w.Header().Set("Location", "/elsewhere")
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(c.status)
		_, _ = w.Write([]byte(c.body))
	}))
	t.Cleanup(small.Close)
	q := ask(server)
	result := read(t, open(t, map[string]any{"server": server, "url": small.URL}), q)
	verify(t, result, fails(q, c.err, c.parts...))
	if text := result.Err.Error(); strings.Contains(text, "hunter2") || strings.Contains(text, "\n") {
		t.Errorf("the error repeats a body or has several lines: %s", text)
	}
}

// TestRequests: what the servers are asked is what the documentation says.
func TestRequests(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		settings map[string]any
		query    backlog.Query
		answer   string
		want     []string
	}{
		"victorialogs": {
			map[string]any{"server": "victorialogs", "filter": `ns:="{namespace}"`, "accountID": int64(12)},
			query("error or fatal"), hits(`"7"`),
			[]string{"POST /logs/select/logsql/stats_query", "allow_partial_response=[0]", `extra_filters=[ns:="shop"]`, "query=[_time:300s (error or fatal\n) | stats count() as hits]", "AccountID=12"},
		},
		"loki": {
			map[string]any{"server": "loki", "filter": `ns="{namespace}"`, "tenant": "t"},
			query(`{app="a"} |= "x" or vector(0)`, "window", "1h"), hits(`"7"`),
			[]string{"GET /logs/loki/api/v1/query", `query=[sum(count_over_time({ns="shop", app="a"} |= "x"[3600s]))]`, "X-Scope-OrgID=t"},
		},
		"elasticsearch": {
			map[string]any{"server": "elasticsearch", "filter": `ns:"{namespace}"`},
			query(`a OR "b"`, "index", "logs-*,-logs-x", "timeField", "when"), shards("7", 1, 1, 0),
			[]string{
				"POST /logs/logs-*,-logs-x/_count", "allow_no_indices=[false]", "ignore_unavailable=[false]",
				`{"query":{"bool":{"filter":[{"query_string":{"query":"a OR \"b\""}},{"range":{"when":{"gt":"now-300s","lte":"now"}}},{"query_string":{"query":"ns:\"shop\""}}]}}}`,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked := make(chan string, 1)
			small := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked <- describe(r)
				_, _ = w.Write([]byte(c.answer))
			}))
			t.Cleanup(small.Close)
			source := open(t, with(c.settings, map[string]any{"url": small.URL + "/logs"}))
			verify(t, read(t, source, of("shop", c.query)), counts(c.query, 7))
			got := <-asked
			for _, part := range c.want {
				if !strings.Contains(got, part) {
					t.Errorf("the request is\n%s\nwant in it\n%s", got, part)
				}
			}
		})
	}
}

// describe returns a request as a text.
func describe(r *http.Request) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s\n", r.Method, r.URL.Path)
	if r.Header.Get("Content-Type") == "application/json" {
		_, _ = io.Copy(&b, r.Body)
	}
	_ = r.ParseForm()
	for name, values := range r.Form {
		fmt.Fprintf(&b, "%s=%s\n", name, values)
	}
	for _, name := range []string{"AccountID", "X-Scope-OrgID"} {
		fmt.Fprintf(&b, "%s=%s\n", name, r.Header.Get(name))
	}
	return b.String()
}

// TestWarning: a remark of the server is one of the reading.
func TestWarning(t *testing.T) {
	t.Parallel()
	small := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"status":"success","warnings":["too\nlong","x"],"data":{"resultType":"vector","result":[{"value":[1,"7"]}]}}`))
	}))
	t.Cleanup(small.Close)
	q := ask("loki")
	result := read(t, open(t, map[string]any{"server": "loki", "url": small.URL}), q)
	verify(t, result, counts(q, 7))
	if got := result.Reading.Warning; got != `too\nlong; x` {
		t.Errorf("the warning is %q", got)
	}
}
