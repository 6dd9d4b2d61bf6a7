package redis

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// TestPlainSessionIsReplaced: a server that could not be asked what it is is asked again
// when its session has expired.
func TestPlainSessionIsReplaced(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server.Addr(), map[string]string{"INFO": redistest.HangUp})
	cfg, err := newConfig(backlog.Connection{Name: "test", Settings: backlog.NewSettings(map[string]any{"addresses": []string{proxy.Addr()}, "wakeUp": wakePoll})})
	if err != nil {
		t.Fatal(err)
	}
	n := newNode(cfg, proxy.Addr(), newWakes(), newWatchlist(), slog.New(slog.DiscardHandler))
	t.Cleanup(n.close)
	use := func() *session {
		t.Helper()
		if err := n.take(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer n.release()
		s, err := n.use(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	plain := use()
	if plain.server.String() != "" || plain.until.IsZero() || plain != use() {
		t.Fatalf("a server that hangs up at INFO is %q until %v", plain.server, plain.until)
	}
	proxy.Allow()
	plain.until = time.Now()
	if next := use(); next == plain || next.server.Version == "" || !next.until.IsZero() {
		t.Errorf("asked again it is %q until %v", next.server, next.until)
	}
}

// TestTrackingEndsWithItsContext: a server that does not answer CLIENT TRACKING keeps
// neither a reader nor Close waiting, however long an answer may take.
func TestTrackingEndsWithItsContext(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server.Addr(), map[string]string{"CLIENT TRACKING": redistest.Silence})
	settings := map[string]any{"addresses": []string{proxy.Addr()}, "wakeUp": wakePoll, "answerTimeout": time.Hour}
	cfg, err := newConfig(backlog.Connection{Name: "test", Settings: backlog.NewSettings(settings)})
	if err != nil {
		t.Fatal(err)
	}
	n := newNode(cfg, proxy.Addr(), newWakes(), newWatchlist(), slog.New(slog.DiscardHandler))
	t.Cleanup(n.close)
	// The session is there already when the listener wants it to be tracked.
	if _, err := n.do(t.Context(), []resp.Command{{Args: []any{"PING"}}}, nil); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- n.joinSession(ctx, &ear{mode: wakeTracking, id: 1, server: *n.session.server}) }()
	redistest.Eventually(t, "the server is asked to track", func() bool { return proxy.Asked("CLIENT TRACKING") })
	cancel()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("tracking succeeded without an answer")
		}
	case <-time.After(30 * time.Second):
		t.Error("tracking goes on after its context has ended")
	}
}
