package httpapi_test

import (
	"bufio"
	"context"
	"errors"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/httpapi"
)

// patience is the bound of requests that are not to reach it.
const patience = time.Minute

// connection returns a connection to a URL with further settings.
func connection(url string, more map[string]any) backlog.Connection {
	settings := map[string]any{"url": url, "answerTimeout": patience}
	maps.Copy(settings, more)
	return backlog.Connection{Name: "metrics", Engine: "test", Settings: backlog.NewSettings(settings)}
}

// open returns a client that is closed with the test.
func open(t testing.TB, url string, more map[string]any) *httpapi.Client {
	t.Helper()
	client, err := httpapi.New(connection(url, more), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// answering returns the URL of a server with one handler.
func answering(t testing.TB, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

// talking returns the URL of a server that has its own idea of HTTP: it calls talk with each
// connection once a request has arrived. The connection is closed when talk returns.
func talking(t testing.TB, talk func(ctx context.Context, to net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // binding a local port cannot block
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var tasks sync.WaitGroup
	tasks.Go(func() {
		for {
			accepted, err := listener.Accept()
			if err != nil {
				return
			}
			tasks.Go(func() {
				defer accepted.Close()
				defer context.AfterFunc(ctx, func() { _ = accepted.Close() })()
				reader := bufio.NewReader(accepted)
				for line := ""; line != "\r\n"; {
					if line, err = reader.ReadString('\n'); err != nil {
						return
					}
				}
				talk(ctx, accepted)
			})
		}
	})
	t.Cleanup(func() {
		cancel()
		_ = listener.Close()
		tasks.Wait()
	})
	return "http://" + listener.Addr().String()
}

// reason returns the one error of backlog that err wraps.
func reason(t testing.TB, err error) error {
	t.Helper()
	var found error
	for _, known := range []error{backlog.ErrUnavailable, backlog.ErrDenied, backlog.ErrMismatch, backlog.ErrPartial} {
		if !errors.Is(err, known) {
			continue
		}
		if found != nil {
			t.Errorf("%v wraps both %v and %v", err, found, known)
		}
		found = known
	}
	return found
}
