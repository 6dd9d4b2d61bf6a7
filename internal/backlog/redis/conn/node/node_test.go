package node

import (
	"context"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/conn"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// TestPlainSessionIsReplaced: a server that could not be asked what it is is asked again
// when its session has expired.
func TestPlainSessionIsReplaced(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server.Addr(), map[string]string{"INFO": redistest.HangUp})
	n, _ := openNode(t, proxy.Addr(), func(cfg *conn.Config) { cfg.WakeUp, cfg.AnswerTimeout = conn.WakePoll, 2*time.Second })
	use := func() *session {
		t.Helper()
		if err := n.acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer n.release()
		s, err := n.openSession(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	plain := use()
	if plain.Server.String() != "" || plain.until.IsZero() || plain != use() {
		t.Fatalf("a server that hangs up at INFO is %q until %v", plain.Server, plain.until)
	}
	first := plain.until
	plain.until = time.Now()
	if again := use(); again != plain || !plain.until.After(first) {
		t.Fatalf("a server that still hangs up is read by another session, or is not asked later: %v, then %v", first, plain.until)
	}
	proxy.Allow()
	plain.until = time.Now()
	if next := use(); next == plain || next.Server.Version == "" || !next.until.IsZero() {
		t.Errorf("asked again it is %q until %v", next.Server, next.until)
	}
}

// TestTrackingEndsWithItsContext: a server that does not answer CLIENT TRACKING keeps
// neither a reader nor Close waiting, however long an answer may take.
func TestTrackingEndsWithItsContext(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server.Addr(), map[string]string{"CLIENT TRACKING": redistest.Silence})
	n, _ := openNode(t, proxy.Addr(), func(cfg *conn.Config) { cfg.WakeUp, cfg.AnswerTimeout = conn.WakePoll, time.Hour })
	// The session is there already when the listener wants it to be tracked.
	if _, err := n.Do(t.Context(), []resp.Command{{Args: []any{"PING"}}}, nil); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- n.joinSession(ctx, &subscriber{mode: conn.WakeTracking, Subscription: &conn.Subscription{ID: 1, Server: *n.session.Server}})
	}()
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
