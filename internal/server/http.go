package server

import (
	"encoding/json"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// The time limits of a request on the second port: for its header, for all of it, for the
// response, and between two requests of a connection. A profile of 30 s fits into a response.
const (
	headerTimeout = 5 * time.Second
	readTimeout   = 10 * time.Second
	writeTimeout  = time.Minute
	idleTimeout   = 2 * time.Minute
	// maxHTTPHeader bounds the header, in bytes; net/http adds 4 KiB to it.
	maxHTTPHeader = 8 << 10
)

// NewHTTP returns the server of the second port: /healthz, /readyz, /metrics,
// /version, and Go's profiles below /debug/pprof/ if profiles is set. /version returns
// version as JSON.
func NewHTTP(health *Health, gatherer prometheus.Gatherer, version any, profiles bool) *http.Server {
	mux := http.NewServeMux()
	mux.Handle("GET /healthz", probe(health.Live))
	mux.Handle("GET /readyz", probe(health.Ready))
	mux.Handle("GET /metrics", newPages(gatherer))
	mux.HandleFunc("GET /version", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		// An error means that the client went away.
		_ = json.NewEncoder(w).Encode(version)
	})
	if profiles {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	return &http.Server{
		Handler: mux, ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHTTPHeader,
	}
}

// probe answers 200 "ok", or 503 with the reason.
func probe(check func() error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		text := "ok\n"
		if err := check(); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			text = backlog.Line(err.Error()) + "\n"
		}
		_, _ = w.Write([]byte(text))
	})
}
