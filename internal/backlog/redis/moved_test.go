package redis

import (
	"log/slog"
	"slices"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/conn"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// TestMovedToAnUnknownServer: a slot moves to a server that joined just now. Reading follows
// at once, although the topology cannot be asked for.
func TestMovedToAnUnknownServer(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3, 0, redistest.WithConfig("user scaler on >secret ~* allchannels +@all"))
	settings := map[string]any{"mode": conn.ModeCluster, "addresses": c.Addrs()[:1], "username": "scaler", "password": backlog.NewSecret("secret")}
	opened, err := open(t.Context(), backlog.Connection{Name: "test", Settings: backlog.NewSettings(settings)}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = opened.Close() })
	s, ok := opened.(*source)
	if !ok {
		t.Fatalf("the source is %T", opened)
	}
	q := backlog.Query{Layout: "list", Queue: "jobs"}
	redistest.Eventually(t, "the queue is read", func() bool { return s.Read(t.Context(), []backlog.Query{q}, nil)[0].Err == nil })
	known := slices.Clone(c.Masters)
	for _, m := range known {
		m.Do("ACL", "SETUSER", "scaler", "-cluster")
	}
	before := s.topology.Known()
	joined := c.Join(t)
	c.Move(t, q.Queue, 3)
	joined.Do("LPUSH", q.Queue, "a", "b", "c")
	for range 3 {
		r := s.Read(t.Context(), []backlog.Query{q}, nil)[0]
		if r.Err != nil || r.Reading.Ready != 3 {
			t.Fatalf("a queue of 3 reads as %+v", r)
		}
	}
	if s.topology.Known() != before {
		t.Fatal("the topology was asked for, although the servers do not allow that")
	}
	for _, m := range known {
		m.Do("ACL", "SETUSER", "scaler", "+cluster")
	}
	redistest.Eventually(t, "the server is part of the topology", func() bool {
		owners, err := s.topology.Known().Owners([]string{q.Queue})
		return err == nil && slices.Equal(owners, []string{joined.Addr()})
	})
	if r := s.Read(t.Context(), []backlog.Query{q}, nil)[0]; r.Err != nil || r.Reading.Ready != 3 {
		t.Errorf("a queue of 3 reads as %+v", r)
	}
}
