package reference

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// TestRights runs the commands of docs/configuration.md that make users, and reads
// a queue as these users.
func TestRights(t *testing.T) {
	t.Parallel()
	group := redistest.StartSentinel(t)
	master := group.Master(t)
	master.Do("RPUSH", "jobs:1", "a message")
	users := 0
	fences, _ := Fences(read(t, "docs/configuration.md"))
	for _, fence := range fences {
		if !strings.HasPrefix(fence.Text, "ACL SETUSER scaler ") {
			continue
		}
		users++
		servers := []*redistest.Server{master}
		if strings.Contains(fence.Text, "sentinel|") {
			servers = group.Sentinels
		}
		for _, server := range servers {
			var words []any
			for word := range strings.FieldsSeq(fence.Text) {
				words = append(words, word)
			}
			server.Do(words...)
		}
	}
	if users != 2 {
		t.Fatalf("docs/configuration.md makes %d users, want one of a server and one of the sentinels", users)
	}
	password := backlog.NewSecret("PASSWORD")
	source, err := redis.Engine().Open(t.Context(), backlog.Connection{Name: "orders", Engine: "redis", Settings: backlog.NewSettings(map[string]any{
		"addresses": group.Addrs(), "mode": "sentinel", "masterName": group.Name,
		"username": "scaler", "password": password, "sentinelUsername": "scaler", "sentinelPassword": password,
	})}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if r := source.Read(ctx, []backlog.Query{{Layout: "list", Queue: "jobs:1"}}, nil)[0]; r.Err != nil || r.Reading.Ready != 1 {
		t.Errorf("with the documented rights a list of 1 reads as %+v", r)
	}
	redistest.Eventually(t, "changes are noticed by tracking", func() bool { return source.Status().WakeUp == "tracking" })
}
