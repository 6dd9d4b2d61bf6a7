package asynq_test

import (
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/asynq"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// TestAsynqStuckWork: work that nothing moves is not exact once that has lasted.
func TestAsynqStuckWork(t *testing.T) {
	t.Parallel()
	layouttest.StuckWork(t, asynq.Layout(), map[string]layouttest.StuckCase{
		"asynq without a lease": {
			Grace: layout.OrphanGrace,
			Stick: [][]any{{"SADD", "asynq:queues", "q"}, {"LPUSH", "asynq:{q}:active", "1", "2", "3"}, {"ZADD", "asynq:{q}:lease", 1, "3"}},
			Move:  [][]any{{"ZADD", "asynq:{q}:lease", 1, "1", 1, "2"}},
			Stuck: layouttest.StuckFigures{InFlight: 3, Orphaned: 2}, Moved: layouttest.StuckFigures{InFlight: 3},
			Warning: "active tasks have no lease",
		},
		"asynq before 0.22 without a deadline": {
			Grace: layout.OrphanGrace,
			Stick: [][]any{{"SADD", "asynq:queues", "q"}, {"LPUSH", "asynq:{q}:active", "message"}},
			Move:  [][]any{{"ZADD", "asynq:{q}:deadlines", 1, "message"}},
			Stuck: layouttest.StuckFigures{InFlight: 1, Orphaned: 1}, Moved: layouttest.StuckFigures{InFlight: 1},
			Warning: "active tasks have no lease",
		},
	})
}

// TestAsynqStuckWorkOfABusyQueue: active tasks and leases that are counted one after the other
// disagree for a moment, and never for as long as the fewest of them are none.
func TestAsynqStuckWorkOfABusyQueue(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := layouttest.NewStepper(t, server, asynq.Layout(), "q", nil)
	server.Do("LPUSH", "asynq:{q}:active", "1", "2", "3")
	began := time.Now()
	for i := range 300 {
		leases := []any{"ZADD", "asynq:{q}:lease", 1, "1", 1, "2"}
		if i%30 == 29 {
			leases = append(leases, 1, "3")
		}
		server.Do("DEL", "asynq:{q}:lease")
		server.Do(leases...)
		if r := s.At(began.Add(time.Duration(i) * time.Second)); r.Quality != backlog.Exact || r.InFlight.N != 3 {
			t.Fatalf("after %d s: %+v", i, r)
		}
	}
}
