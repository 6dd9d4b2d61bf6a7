package management

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq/dialer"
)

// TestListingAfterAnOutage: while a server is away no read reaches the listing, and after a while no more of them are
// attempted. The first read afterwards still gets the error of the last attempt, and makes another one.
func TestListingAfterAnOutage(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprint(w, `{"items":[{"name":"jobs","type":"quorum"}],"page":1,"page_count":1}`)
	}))
	t.Cleanup(server.Close)
	connection := backlog.Connection{Name: "rabbit", Settings: backlog.NewSettings(map[string]any{"managementURL": server.URL})}
	m, err := New(connection, &dialer.Config{Vhost: "/"}, 5*time.Second, func() {}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	// What an outage leaves behind.
	outage := fmt.Errorf("%w: connection refused", backlog.ErrUnavailable)
	m.err, m.began, m.read = outage, time.Now().Add(-time.Second), time.Now().Add(-inUse-time.Second)
	if wait := m.wait(time.Now()); wait < time.Minute {
		t.Fatalf("the next listing is in %s though no queue is read", wait)
	}

	if _, err := m.Latest(t.Context(), time.Minute, time.Minute); !errors.Is(err, backlog.ErrUnavailable) {
		t.Errorf("the first read gets %v, want %v", err, outage)
	}
	if len(m.wanted) == 0 {
		t.Fatal("the first read does not end the wait for the next listing")
	}

	tried := m.tried
	ctx, end := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { m.Run(ctx) })
	t.Cleanup(running.Wait)
	t.Cleanup(end)
	select {
	case <-tried:
	case <-time.After(time.Minute):
		t.Fatal("no listing was attempted after the outage")
	}
	last, err := m.Latest(ctx, time.Minute, time.Minute)
	if err != nil || last == nil || len(last.Queues) != 1 {
		t.Errorf("the listing after the outage is %+v (%v), want one queue", last, err)
	}
}
