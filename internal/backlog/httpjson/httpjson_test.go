package httpjson_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/httpjson"
)

// patience is the bound of answers that are not to reach it.
const patience = time.Minute

func connection(url string, more map[string]any) backlog.Connection {
	settings := map[string]any{"url": url, "answerTimeout": patience}
	maps.Copy(settings, more)
	return backlog.Connection{Name: "calendar", Engine: "http", Settings: backlog.NewSettings(settings)}
}

func query(path, value string) backlog.Query {
	return backlog.Query{Layout: "path", Queue: path, Params: backlog.NewParams(map[string]string{"value": value})}
}

// A calendar is a server whose numbers the test sets.
type calendar struct {
	// mu guards documents, by their paths.
	mu        sync.Mutex
	documents map[string]any
}

// ServeHTTP answers with the document of the path.
func (c *calendar) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	document, ok := c.documents[r.URL.RequestURI()]
	c.mu.Unlock()
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	_ = json.NewEncoder(w).Encode(document)
}

func (c *calendar) set(path string, document any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.documents[path] = document
}

func TestConformance(t *testing.T) {
	t.Parallel()
	numbers := &calendar{documents: map[string]any{}}
	server := httptest.NewServer(numbers)
	t.Cleanup(server.Close)
	var names atomic.Int64
	backlogtest.Exercise(t, backlogtest.Harness{
		Engine:            httpjson.Engine(),
		Address:           server.Listener.Addr().String(),
		Connection:        func(address string) backlog.Connection { return connection("http://"+address+"/v1", nil) },
		GarbageIsMismatch: true,
		Cases: []backlogtest.Case{{
			Name: "number",
			Query: func(testing.TB) backlog.Query {
				return query(fmt.Sprintf("/jobs/%d?of=a,b", names.Add(1)), "$.jobs[?@.name == 'mail'].waiting")
			},
			Set: func(_ testing.TB, q backlog.Query, number float64) {
				numbers.set("/v1"+q.Queue, map[string]any{"jobs": []any{
					map[string]any{"name": "bills", "waiting": 99}, map[string]any{"name": "mail", "waiting": number},
				}})
			},
			Corrupt: func(_ testing.TB, q backlog.Query) {
				numbers.set("/v1"+q.Queue, map[string]any{"jobs": []any{map[string]any{"name": "mail", "waiting": true}}})
			},
		}},
	})
}

// TestAnswers has values of all kinds.
func TestAnswers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status      int
		body, value string
		// want is the number, or part of the error.
		want string
		err  error
	}{
		"a number":          {200, `{"jobs": 3.25}`, "$.jobs", "3.25", nil},
		"a text":            {200, `{"jobs": " 12 "}`, "$['jobs']", "12", nil},
		"the root":          {200, `7`, "$", "7", nil},
		"an element":        {200, `[1, 2, 3]`, "$[-1]", "3", nil},
		"one of all":        {200, `{"a": {"n": 4}}`, "$.*.n", "4", nil},
		"a filter":          {200, `[{"k": "a", "n": 1}, {"k": "b", "n": 2}]`, "$[?@.k == 'b' && @.n > 1].n", "2", nil},
		"a negative":        {200, `-0.0004`, "$", "0", nil},
		"nothing":           {200, `{"job": 3}`, "$.jobs", "nothing at $.jobs", backlog.ErrMismatch},
		"null":              {200, `{"jobs": null}`, "$.jobs", "null, so the number is unknown", backlog.ErrMismatch},
		"several":           {200, `[1, 2]`, "$[*]", "2 values at $[*]", backlog.ErrMismatch},
		"true":              {200, `true`, "$", "true or false", backlog.ErrMismatch},
		"an array":          {200, `[1]`, "$", "an array", backlog.ErrMismatch},
		"an object":         {200, `{"a": 1}`, "$", "an object", backlog.ErrMismatch},
		"another text":      {200, `"hunter2"`, "$", "a text that is not a number", backlog.ErrMismatch},
		"infinity":          {200, `"Inf"`, "$", "a text that is not a number", backlog.ErrMismatch},
		"hexadecimal":       {200, `"0x10"`, "$", "a text that is not a number", backlog.ErrMismatch},
		"too large":         {200, `1e300`, "$", "is not a number that can be scaled by", backlog.ErrMismatch},
		"an endless number": {200, `1e999`, "$", "not valid JSON", backlog.ErrMismatch},
		"no JSON":           {200, `jobs=3`, "$", "not valid JSON", backlog.ErrMismatch},
		"an empty body":     {200, ``, "$", "not valid JSON", backlog.ErrMismatch},
		"nested":            {200, strings.Repeat("[", 500_000), "$", "not valid JSON", backlog.ErrMismatch},
		"deep":              {200, strings.Repeat("[", 9000) + "1" + strings.Repeat("]", 9000), "$[0][0]", "an array", backlog.ErrMismatch},
		"wide":              {200, "[" + strings.Repeat("0,", 500_000) + "0]", "$[*]", "500001 values", backlog.ErrMismatch},
		"created":           {201, `3`, "$", "201 Created", backlog.ErrMismatch},
		"not found":         {404, `3`, "$", "404 Not Found", backlog.ErrMismatch},
		"unavailable":       {503, `3`, "$", "503", backlog.ErrUnavailable},
		"denied":            {401, `3`, "$", "401", backlog.ErrDenied},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			}))
			t.Cleanup(server.Close)
			source := backlogtest.Open(t, httpjson.Engine(), connection(server.URL, nil))
			r := backlogtest.Read(t, source, query("/", c.value))[0]
			if c.err != nil {
				if !errors.Is(r.Err, c.err) || !strings.Contains(r.Err.Error(), c.want) || strings.Contains(r.Err.Error(), "hunter2") {
					t.Errorf("got %+v, want %v with %q", r, c.err, c.want)
				}
				return
			}
			if r.Err != nil || r.Reading.Measured.String() != c.want {
				t.Errorf("got %+v, want %s", r, c.want)
			}
		})
	}
}

// TestCheck has triggers that are refused before anything is asked.
func TestCheck(t *testing.T) {
	t.Parallel()
	check := httpjson.Engine().Layouts[0].Check
	for _, c := range []struct{ path, value, want string }{
		{"/v1/expected", "$.jobs", ""},
		{"/v1/a%20b?x=1&y=..", "$['a b'][0]", ""},
		{"/", "$[?@.name == 'a..$*?:b'].n", ""},
		{"v1", "$", "path: is not a path"},
		{"", "$", "path: is not a path"},
		{"//example.com/x", "$", "path: is not a path"},
		{"http://example.com/x", "$", "path: is a whole URL"},
		{"/a b", "$", ""},
		{"/a#b", "$", "path: holds a fragment"},
		{"/a/../b", "$", `path: holds "." or ".."`},
		{"/a/%2e%2e/b", "$", `path: holds "." or ".."`},
		{"/%zz", "$", "path: is not a path"},
		{"/" + strings.Repeat("x", 3000), "$", "path: has 3001 bytes, want at most 2048"},
		{"/", "jobs", `value: "jobs" is not a JSONPath`},
		{"/", "$.", "is not a JSONPath"},
		{"/", "$..jobs", "value: has descendants"},
		{"/", "$[0,1]", "value: has several selectors"},
		{"/", "$[?$[*]]", "value: has a filter that is more"},
		{"/", "$[?@..a]", "value: has a filter that is more"},
		{"/", "$[?@[*]]", "value: has a filter that is more"},
		{"/", "$[?match(@.a, @.b)]", "value: has a filter that is more"},
		{"/", "$" + strings.Repeat("[0]", 17), "value: has 17 steps, want at most 16"},
		{"/", "$" + strings.Repeat("x", 600), "value: has 601 bytes, want at most 512"},
	} {
		err := check(query(c.path, c.value))
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%q, %q: got %v, want %q", c.path, c.value, err, c.want)
		}
	}
}

// FuzzCheck has any path and value. What is accepted is asked below the URL of the connection.
func FuzzCheck(f *testing.F) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.EscapedPath(), "/base/") {
			w.WriteHeader(http.StatusTeapot)
		}
		_, _ = io.WriteString(w, `{"a": [{"b": 1}, {"b": "2"}]}`)
	}))
	f.Cleanup(server.Close)
	source := backlogtest.Open(f, httpjson.Engine(), connection(server.URL+"/base", nil))
	f.Add("/x?y", "$.a[0].b")
	f.Add("/../x", "$.a[?@.b == '2'].b")
	f.Fuzz(func(t *testing.T, path, value string) {
		q := query(path, value)
		if httpjson.Engine().Layouts[0].Check(q) != nil {
			return
		}
		r := backlogtest.Read(t, source, q)[0]
		if r.Err != nil && (!errors.Is(r.Err, backlog.ErrMismatch) || strings.Contains(r.Err.Error(), "418")) {
			t.Errorf("%q, %q: %v", path, value, r.Err)
		}
	})
}
