package redis

import (
	"log/slog"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
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
	if next := use(); next == plain || next.server.version == "" || !next.until.IsZero() {
		t.Errorf("asked again it is %q until %v", next.server, next.until)
	}
}
