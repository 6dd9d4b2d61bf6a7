package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// The time limits of a request: for its header, for all of it, for the response, and between
// two requests of a connection. A kubelet waits for a second where a probe does not say.
const (
	headerTimeout = 5 * time.Second
	readTimeout   = 10 * time.Second
	writeTimeout  = 30 * time.Second
	idleTimeout   = 2 * time.Minute
	// maxHeader bounds the header of a request, in bytes; net/http adds 4 KiB to it.
	maxHeader = 8 << 10
	// stopTimeout is how long requests may take at the end before they are cut off.
	stopTimeout = time.Second
)

// Handler returns the handler of /healthz, /readyz and /busy, and of /metrics if there is a
// Gatherer. It answers GET and HEAD. Run serves it on Address; a program that has a server of
// its own can serve it there.
func (w *Worker) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /healthz", probe(w.live))
	mux.Handle("GET /readyz", probe(w.readiness))
	mux.HandleFunc("GET /busy", w.busy)
	if w.options.Gatherer != nil {
		mux.Handle("GET /metrics", promhttp.HandlerFor(w.options.Gatherer, promhttp.HandlerOpts{}))
	}
	return mux
}

func (w *Worker) live() error {
	if w.options.Live == nil {
		return nil
	}
	return w.options.Live()
}

func (w *Worker) readiness() error {
	switch s := w.Status(); {
	case s.Draining:
		return ErrDraining
	case !s.Ready:
		return errors.New("the worker is not ready")
	default:
		return nil
	}
}

// busy answers with Status as JSON.
func (w *Worker) busy(response http.ResponseWriter, _ *http.Request) {
	response.Header().Set("Content-Type", "application/json")
	response.Header().Set("Cache-Control", "no-store")
	// An error means that the client went away.
	_ = json.NewEncoder(response).Encode(w.Status())
}

// probe answers 200 "ok", or 503 with the reason on one line.
func probe(check func() error) http.Handler {
	return http.HandlerFunc(func(response http.ResponseWriter, _ *http.Request) {
		response.Header().Set("Content-Type", "text/plain; charset=utf-8")
		response.Header().Set("Cache-Control", "no-store")
		text := "ok"
		if err := check(); err != nil {
			response.WriteHeader(http.StatusServiceUnavailable)
			text = strings.Join(strings.Fields(err.Error()), " ")
		}
		_, _ = response.Write([]byte(text + "\n"))
	})
}

// probes is the server of Handler.
type probes struct {
	// server is nil if there is no address to serve on; done is nil then, too.
	server *http.Server
	// done is closed when the server has ended. err is written before that and read after; it
	// is nil if stop ended the server.
	done chan struct{}
	err  error
}

// serve listens on Address and serves Handler until stop is called.
func (w *Worker) serve(ctx context.Context) (*probes, error) {
	if w.options.Address == "" {
		return &probes{}, nil
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", w.options.Address)
	if err != nil {
		return nil, fmt.Errorf("serve probes on %q: %w", w.options.Address, err)
	}
	w.mu.Lock()
	w.addr = listener.Addr()
	w.mu.Unlock()
	p := &probes{
		server: &http.Server{
			Handler: w.Handler(), ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout,
			IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
			ErrorLog: slog.NewLogLogger(w.options.Logger.Handler(), slog.LevelWarn),
		},
		done: make(chan struct{}),
	}
	go func() {
		defer close(p.done)
		if err := p.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			p.err = fmt.Errorf("serve probes on %q: %w", w.options.Address, err)
		}
	}()
	w.options.Logger.InfoContext(ctx, "serving probes", "address", listener.Addr().String())
	return p, nil
}

// stop ends the server, waits for it, and returns why it ended before, if it did. It does so when
// ctx has ended, too.
func (p *probes) stop(ctx context.Context) error {
	if p.server == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if p.server.Shutdown(ctx) != nil {
		_ = p.server.Close() // cuts off what takes too long
	}
	<-p.done
	return p.err
}
