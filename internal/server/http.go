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

// HTTPOptions are what the second port serves.
type HTTPOptions struct {
	// Health is served at /healthz and /readyz, and Gatherer at /metrics.
	Health   *Health
	Gatherer prometheus.Gatherer
	// Version is served at /version, as JSON.
	Version any
	// Wake is served at POST /wake/{connection}/{queue}.
	Wake http.Handler
	// Profiles reports whether Go's profiles are served below /debug/pprof/.
	Profiles bool
}

// NewHTTP returns the server of the second port.
func NewHTTP(o HTTPOptions) *http.Server {
	mux := http.NewServeMux()
	mux.Handle("GET /healthz", probe(o.Health.Live))
	mux.Handle("GET /readyz", probe(o.Health.Ready))
	mux.Handle("GET /metrics", newPages(o.Gatherer))
	mux.Handle("POST /wake/{connection}/{queue...}", o.Wake)
	mux.HandleFunc("GET /version", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		// An error means that the client went away.
		_ = json.NewEncoder(w).Encode(o.Version)
	})
	if o.Profiles {
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
