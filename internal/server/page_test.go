package server_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/backlog-scaler/backlog-scaler/internal/server"
)

// A heap of series that cannot be compressed, of about 10 MB.
type heap struct{ desc *prometheus.Desc }

func (h heap) Describe(ch chan<- *prometheus.Desc) { ch <- h.desc }

func (h heap) Collect(ch chan<- prometheus.Metric) {
	for range 10_000 {
		ch <- prometheus.MustNewConstMetric(h.desc, prometheus.GaugeValue, 1, strings.Repeat(rand.Text(), 40))
	}
}

// silentAddress is where those come from who ask and do not read.
const silentAddress = "127.0.0.9"

// serveHTTP serves the second port with the metrics of a registry. watch sees its connections.
func serveHTTP(t *testing.T, registry *prometheus.Registry, watch func(net.Conn, http.ConnState)) net.Addr {
	t.Helper()
	health := server.NewHealth(func() error { return nil })
	health.Serving()
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := server.NewHTTP(server.HTTPOptions{Health: health, Gatherer: registry, Version: "test", Wake: http.NotFoundHandler()})
	h.ConnState = watch
	ended := make(chan error, 1)
	go func() { ended <- h.Serve(listener) }()
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return listener.Addr()
}

// fetch returns a page.
func fetch(t *testing.T, address net.Addr, path string) (code int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address.String()+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := (&http.Client{Transport: transport, Timeout: time.Minute}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// TestSilentReadersDoNotBlind: clients that ask for the metrics and read nothing keep no
// others from reading them, nor probes from being answered, and are cut off.
func TestSilentReadersDoNotBlind(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	registry.MustRegister(heap{prometheus.NewDesc("heap", "Much.", []string{"text"}, nil)})
	var closed atomic.Int64
	address := serveHTTP(t, registry, func(conn net.Conn, state http.ConnState) {
		if state == http.StateClosed && strings.HasPrefix(conn.RemoteAddr().String(), silentAddress+":") {
			closed.Add(1)
		}
	})
	silent := make([]net.Conn, 10)
	for i := range silent {
		silent[i] = dialFrom(t, silentAddress, address)
		if tcp, ok := silent[i].(*net.TCPConn); !ok || tcp.SetReadBuffer(4096) != nil {
			t.Fatal("a connection without a buffer that can be set")
		}
		if err := write(silent[i], []byte(fmt.Sprintf("GET /metrics HTTP/1.1\r\nHost: scaler\r\nX-Number: %d\r\n\r\n", i))); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		if code, body := fetch(t, address, "/metrics"); code != http.StatusOK || strings.Count(body, "\n") < 10_000 {
			t.Errorf("next to silent readers the metrics are %d, %d bytes", code, len(body))
		}
		if code, body := fetch(t, address, "/readyz"); code != http.StatusOK {
			t.Errorf("next to silent readers the probe is %d, %s", code, body)
		}
	}
	for deadline := time.Now().Add(time.Minute); closed.Load() < int64(len(silent)); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d silent readers were cut off in a minute", closed.Load(), len(silent))
		}
	}
}
