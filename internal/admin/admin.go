// Package admin serves the admin address: what stands in front of the inspector and the web page,
// on one port for gRPC, JSON and browsers.
package admin

import (
	"cmp"
	"log"
	"net/http"
	"strings"
	"time"
)

// The limits of clients of the admin address.
const (
	headerTimeout = 5 * time.Second
	// readTimeout bounds a whole request, which is a few names. It ends a request that has begun
	// and not ended, such as a stream of reflection.
	readTimeout = 10 * time.Second
	// writeTimeout is the default of Options.WriteTimeout.
	writeTimeout = 20 * time.Second
	idleTimeout  = 5 * time.Minute
	// maxHeader bounds the header of a request, in bytes; net/http adds 4 KiB to it.
	maxHeader = 8 << 10
	// maxStreams is the number of concurrent calls on one connection of HTTP/2, and
	// maxReceived bounds what they have sent and the scaler has not read, in bytes.
	maxStreams, maxReceived = 100, 1 << 20
	// pingAfter and pingTimeout detect a dead client.
	pingAfter, pingTimeout = 30 * time.Second, 10 * time.Second
)

// Options are what the admin address serves.
type Options struct {
	// Routes are the handlers of the inspector, by the patterns of their paths.
	Routes map[string]http.Handler
	// Page serves all other paths.
	Page http.Handler
	// Hosts are names in the Host header that are accepted next to addresses and localhost.
	Hosts []string
	// WriteTimeout is how long a client may take to read what was written. Default 20 s.
	WriteTimeout time.Duration
	// Log receives what net/http reports about connections.
	Log *log.Logger
}

// NewServer returns the server of the admin address. It speaks HTTP/1.1 and HTTP/2 without TLS.
func NewServer(o Options) *http.Server {
	mux := http.NewServeMux()
	for pattern, handler := range o.Routes {
		mux.Handle(pattern, handler)
	}
	mux.Handle("/", reading(o.Page))
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler:     patient(cmp.Or(o.WriteTimeout, writeTimeout), knownHosts(o.Hosts, http.NewCrossOriginProtection().Handler(mux))),
		Protocols:   &protocols,
		ReadTimeout: readTimeout, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxStreams, MaxReceiveBufferPerConnection: maxReceived,
			SendPingTimeout: pingAfter, PingTimeout: pingTimeout,
		},
		ErrorLog: o.Log,
	}
}

// policy is what a browser may do with a page: nothing from elsewhere, and no script or style within
// the page itself.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; " +
	"form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// reading serves pages: they can only be read, they are not stored, and no other site sees them.
func reading(page http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
			// To a client of gRPC this is Unimplemented.
			http.NotFound(w, r)
			return
		}
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			h.Set("Allow", "GET, HEAD")
			http.Error(w, "the page can only be read: use GET or HEAD", http.StatusMethodNotAllowed)
			return
		}
		page.ServeHTTP(w, r)
	})
}
