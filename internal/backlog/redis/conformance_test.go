package redis_test

import (
	"fmt"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// TestConformance holds the engine to the suite, on each server, in each way of waking.
func TestConformance(t *testing.T) {
	t.Parallel()
	for _, version := range redistest.Versions(t) {
		for _, way := range []struct {
			name            string
			wakes, confirms bool
			lines           []string
			more            map[string]any
		}{
			{name: "tracking", wakes: true, confirms: true},
			{name: "keyspace", wakes: true, lines: []string{"notify-keyspace-events KA"}, more: map[string]any{"wakeUp": "keyspace"}},
			{name: "poll", more: map[string]any{"wakeUp": "poll"}},
		} {
			t.Run(fmt.Sprintf("%s/%s", version.Name, way.name), func(t *testing.T) {
				t.Parallel()
				server := redistest.Start(t, redistest.WithVersion(version), redistest.WithConfig(way.lines...))
				backlogtest.Exercise(t, backlogtest.Harness{
					Engine:     redis.Engine(),
					Address:    server.Addr(),
					Connection: func(address string) backlog.Connection { return layouttest.Connection([]string{address}, way.more) },
					Cases:      cases(server.Client()),
					Wakes:      way.wakes,
					Confirms:   way.confirms,
				})
			})
		}
	}
}
