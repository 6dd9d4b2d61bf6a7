package layouttest

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// ExerciseEverywhere holds cases to the suite, on each server and with each way to
// notice a change that arms keys.
func ExerciseEverywhere(t *testing.T, cases func(*redistest.Server) []backlogtest.Case) {
	t.Helper()
	for name, way := range map[string]struct {
		lines []string
		more  map[string]any
	}{
		"tracking": {},
		"keyspace": {lines: []string{"notify-keyspace-events KA"}, more: map[string]any{"wakeUp": "keyspace"}},
	} {
		for _, version := range redistest.Versions(t) {
			t.Run(version.Name+"/"+name, func(t *testing.T) {
				t.Parallel()
				server := redistest.Start(t, redistest.WithVersion(version), redistest.WithConfig(way.lines...))
				backlogtest.Exercise(t, backlogtest.Harness{
					Engine:     redis.Engine(),
					Address:    server.Addr(),
					Connection: func(address string) backlog.Connection { return Connection([]string{address}, way.more) },
					Cases:      cases(server),
					Wakes:      true,
					Confirms:   name == "tracking",
				})
			})
		}
	}
}

// Names numbers the keys of all tests, so that none is used twice.
type Names struct{ n atomic.Int64 }

// Next returns a name that was not returned before.
func (k *Names) Next(what string) string { return fmt.Sprintf("%s:%d", what, k.n.Add(1)) }
