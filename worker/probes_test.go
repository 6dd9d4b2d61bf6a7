package worker

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
)

// ask sends a request to the handler, without a network.
func ask(w *Worker, method, path string) *httptest.ResponseRecorder {
	response := httptest.NewRecorder()
	w.Handler().ServeHTTP(response, httptest.NewRequest(method, path, http.NoBody)) //nolint:noctx // it has a context of its own
	return response
}

func TestHandler(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	tests := map[string]struct {
		options      Options
		prepare      func(w *Worker)
		method, path string
		code         int
		text         string
	}{
		"live":              {path: "/healthz", code: 200, text: "ok\n"},
		"live, as decided":  {options: Options{Live: func() error { return errors.New("no job\nfor an hour") }}, path: "/healthz", code: 503, text: "no job for an hour\n"},
		"not ready yet":     {path: "/readyz", code: 503, text: "the worker is not ready\n"},
		"ready":             {prepare: func(w *Worker) { w.SetReady(true) }, path: "/readyz", code: 200, text: "ok\n"},
		"not ready again":   {prepare: func(w *Worker) { w.SetReady(true); w.SetReady(false) }, path: "/readyz", code: 503, text: "the worker is not ready\n"},
		"draining":          {prepare: func(w *Worker) { w.SetReady(true); w.Drain() }, path: "/readyz", code: 503, text: "the worker drains\n"},
		"live and draining": {prepare: (*Worker).Drain, path: "/healthz", code: 200, text: "ok\n"},
		"idle":              {path: "/busy", code: 200, text: `{"busy":false,"inFlight":0,"ready":false,"draining":false}` + "\n"},
		"head":              {method: http.MethodHead, path: "/readyz", code: 503, text: "the worker is not ready\n"},
		"post":              {method: http.MethodPost, path: "/busy", code: 405, text: "Method Not Allowed\n"},
		"other path":        {path: "/", code: 404, text: "404 page not found\n"},
		"no metrics":        {path: "/metrics", code: 404, text: "404 page not found\n"},
		"metrics": {
			options: Options{Registerer: registry, Gatherer: registry}, path: "/metrics", code: 200,
			text: "# HELP worker_jobs_in_flight Jobs that were begun and have not ended.\n# TYPE worker_jobs_in_flight gauge\nworker_jobs_in_flight 0\n",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorker(t, test.options)
			if test.prepare != nil {
				test.prepare(w)
			}
			method := test.method
			if method == "" {
				method = http.MethodGet
			}
			response := ask(w, method, test.path)
			if response.Code != test.code {
				t.Errorf("status %d, want %d", response.Code, test.code)
			}
			if diff := cmp.Diff(test.text, response.Body.String()); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
		})
	}
}

// TestBusyIsParsed wants ParseStatus to understand what /busy answers.
func TestBusyIsParsed(t *testing.T) {
	t.Parallel()
	w := newWorker(t, Options{})
	for range 3 {
		if _, _, err := w.Begin(t.Context()); err != nil {
			t.Fatal(err)
		}
		response := ask(w, http.MethodGet, "/busy")
		got, err := ParseStatus(response.Code, response.Body)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(w.Status(), got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
}

func TestParseStatus(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		code int
		body string
		want Status
		err  string
	}{
		"busy":                {body: `{"busy":true,"inFlight":2}`, want: Status{Busy: true, InFlight: 2}},
		"idle":                {body: `{"busy":false}`, want: Status{}},
		"without a number":    {body: ` {"busy": true} `, want: Status{Busy: true}},
		"further fields":      {body: `{"busy":true,"jobs":["a"],"ready":true,"draining":true}`, want: Status{Busy: true, Ready: true, Draining: true}},
		"another code":        {code: 204, err: "status 204, want 200"},
		"a redirect":          {code: 302, body: `{"busy":false}`, err: "status 302, want 200"},
		"nothing":             {err: "the answer is not JSON"},
		"a page":              {body: "<html>secret</html>", err: "the answer is not JSON"},
		"null":                {body: "null", err: `no "busy"`},
		"no answer":           {body: `{"inFlight":0}`, err: `no "busy"`},
		"a null":              {body: `{"busy":null}`, err: `no "busy"`},
		"a text":              {body: `{"busy":"false"}`, err: "the answer is not JSON"},
		"a number":            {body: `{"busy":0}`, err: "the answer is not JSON"},
		"a fraction":          {body: `{"busy":true,"inFlight":1.5}`, err: "the answer is not JSON"},
		"more than an object": {body: `{"busy":false}{"busy":true}`, err: "the answer is not JSON"},
		"idle with jobs":      {body: `{"busy":false,"inFlight":1}`, err: "busy is false with 1 in flight"},
		"negative":            {body: `{"busy":true,"inFlight":-1}`, err: "busy is true with -1 in flight"},
		"too long":            {body: `{"busy":false}` + strings.Repeat(" ", 5000), err: "longer than 4096 bytes"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code := test.code
			if code == 0 {
				code = http.StatusOK
			}
			got, err := ParseStatus(code, strings.NewReader(test.body))
			if test.err == "" && err != nil || test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)) {
				t.Errorf("error %v, want %q", err, test.err)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("error %q holds the body", err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// FuzzParseStatus wants a worker to be idle only if its answer says so.
func FuzzParseStatus(f *testing.F) {
	f.Add(200, []byte(`{"busy":true,"inFlight":2,"ready":true,"draining":false}`))
	f.Add(200, []byte(`{"busy":false}`))
	f.Add(503, []byte("draining"))
	f.Fuzz(func(t *testing.T, code int, body []byte) {
		s, err := ParseStatus(code, strings.NewReader(string(body)))
		switch {
		case err != nil && s != Status{}:
			t.Errorf("error %v with %+v", err, s)
		case err == nil && !s.Busy && (code != http.StatusOK || !strings.Contains(string(body), "false") || s.InFlight != 0):
			t.Errorf("%d %q counts as idle: %+v", code, body, s)
		}
	})
}
