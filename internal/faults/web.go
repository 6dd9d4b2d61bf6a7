package faults

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/logs/logstest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/prometheus/prometheustest"
)

// httpGarbage is a response whose body does not end and is no JSON.
const httpGarbage = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n[[[[[[[["

// A front is what verifies logins and rights before an API, as a proxy for authentication does.
type front struct {
	secret *secret
	api    http.Handler

	// mu guards what the test changes and requests read.
	mu        sync.Mutex
	password  string
	forbidden bool
}

// ServeHTTP implements http.Handler.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	password, forbidden := f.password, f.forbidden
	f.mu.Unlock()
	name, given, _ := r.BasicAuth()
	switch {
	case name != user || given != password:
		http.Error(w, "wrong password", http.StatusUnauthorized)
	case forbidden:
		http.Error(w, "no right", http.StatusForbidden)
	default:
		f.api.ServeHTTP(w, r)
	}
}

func (f *front) set(password string, forbidden bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.password, f.forbidden = password, forbidden
}

// web returns a subject that asks an API by way of a front and a proxy.
func web(t testing.TB, title string, api http.Handler, more ...string) *Subject {
	t.Helper()
	f := &front{secret: newSecret(t), api: api}
	f.set(f.secret.value(), false)
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	proxy := backlogtest.NewProxy(t, server.Listener.Addr().String())
	return &Subject{
		Title: title,
		Connection: func() []string {
			return append(append(f.secret.login(), "url: 'http://"+proxy.Addr()+"'", "interval: 1s"), more...)
		},
		Proxies: []*backlogtest.Proxy{proxy},
		Garbage: httpGarbage,
		Causes: map[Fault]Cause{
			Password: func(t testing.TB) func() {
				t.Helper()
				f.secret.change()
				f.set(f.secret.value(), false)
				return func() { f.secret.write(t) }
			},
			Permission: func(testing.TB) func() {
				f.set(f.secret.value(), true)
				return func() { f.set(f.secret.value(), false) }
			},
		},
	}
}

// A target is the API behind a front, which the test may replace.
type target struct {
	mu  sync.Mutex
	url *url.URL
}

// set makes requests go to an address.
func (a *target) set(t testing.TB, address string) {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.url = u
}

// handler returns what forwards requests.
func (a *target) handler() http.Handler {
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			a.mu.Lock()
			defer a.mu.Unlock()
			r.SetURL(a.url)
		},
		Transport: &http.Transport{DisableKeepAlives: true, DialContext: (&net.Dialer{Timeout: time.Second}).DialContext},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, err.Error(), http.StatusBadGateway)
		},
	}
}

// prometheusServer is one Prometheus. Without its data it has the present numbers again after a scrape.
func prometheusServer(t testing.TB) *Subject {
	t.Helper()
	api := &target{}
	server := prometheustest.Start(t)
	api.set(t, server.URL)
	s := web(t, "Prometheus", api.handler())
	s.Metadata = map[string]string{"query": "jobs"}
	number := 0
	s.Put = func(t testing.TB, n int) {
		t.Helper()
		number += n
		server.Set(t, "jobs", float64(number))
	}
	s.Causes[Frozen] = frozen(func() freezer { return server })
	s.Keeps = true
	s.Causes[Emptied] = emptied(func(t testing.TB) {
		t.Helper()
		server.Stop()
		server = prometheustest.Start(t)
		server.Set(t, "jobs", float64(number))
		api.set(t, server.URL)
	}, s.Proxies...)
	return s
}

// httpServer is an application that reports how many jobs it has.
func httpServer(t testing.TB) *Subject {
	t.Helper()
	var mu sync.Mutex
	number := 0
	s := web(t, "an application", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"jobs":{"waiting":%d}}`, number)
	}))
	s.Metadata = map[string]string{"path": "/stats", "value": "$.jobs.waiting"}
	add := func(n int) {
		mu.Lock()
		defer mu.Unlock()
		number += n
	}
	s.Put = func(_ testing.TB, n int) { add(n) }
	s.Causes[Emptied] = emptied(func(testing.TB) {
		mu.Lock()
		defer mu.Unlock()
		number = 0
	}, s.Proxies...)
	return s
}

// logServer is one VictoriaLogs.
func logServer(t testing.TB) *Subject {
	t.Helper()
	api := &target{}
	server := logstest.StartVictoriaLogs(t)
	api.set(t, server.URL)
	s := web(t, "VictoriaLogs", api.handler(), "server: victorialogs")
	s.Metadata = map[string]string{"query": "failed", "window": "1h"}
	s.Put = func(t testing.TB, n int) {
		t.Helper()
		for range n {
			server.Add(t, "", logstest.Entry{At: time.Now(), Text: "payment failed", Fields: map[string]string{"app": "billing", "namespace": "faults"}})
		}
	}
	s.Causes[Frozen] = frozen(func() freezer { return server })
	s.Causes[Emptied] = emptied(func(t testing.TB) {
		t.Helper()
		server.Kill()
		server = logstest.StartVictoriaLogs(t)
		api.set(t, server.URL)
	}, s.Proxies...)
	return s
}
