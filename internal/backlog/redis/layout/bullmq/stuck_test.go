package bullmq_test

import (
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/bullmq"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// TestBullMQStuckWork: work that nothing moves is not exact once that has lasted.
func TestBullMQStuckWork(t *testing.T) {
	t.Parallel()
	layouttest.StuckWork(t, bullmq.Layout(), map[string]layouttest.StuckCase{
		"BullMQ 1 without a scheduler": {
			Grace: layout.StuckGrace,
			Stick: [][]any{{"HSET", "bull:q:meta", "opts.maxLenEvents", "10000"}, {"ZADD", "bull:q:delayed", 4096000, "1"}},
			Move:  [][]any{{"SET", "bull:q:stalled-check", "1"}},
			Stuck: layouttest.StuckFigures{Due: 1, Orphaned: 1}, Moved: layouttest.StuckFigures{Due: 1},
			Warning: "no process moves them",
		},
		"BullMQ resumed by halves": {
			Grace: layout.OrphanGrace,
			Stick: [][]any{{"HSET", "bull:q:meta", "opts.maxLenEvents", "10000"}, {"LPUSH", "bull:q:paused", "1", "2"}, {"LPUSH", "bull:q:wait", "3"}},
			Move:  [][]any{{"RPOPLPUSH", "bull:q:paused", "bull:q:wait"}, {"RPOPLPUSH", "bull:q:paused", "bull:q:wait"}},
			Stuck: layouttest.StuckFigures{Ready: 3, Orphaned: 2}, Moved: layouttest.StuckFigures{Ready: 3},
			Warning: "the queue is not paused",
		},
	})
}

// TestBullMQWorkThatAWorkerMoves: due jobs that any worker would move are no orphans, however
// long none has.
func TestBullMQWorkThatAWorkerMoves(t *testing.T) {
	t.Parallel()
	for name, commands := range map[string][][]any{
		"BullMQ 5":   {{"HSET", "bull:q:meta", "opts.maxLenEvents", "10000", "version", "bullmq:5.81.5"}, {"ZADD", "bull:q:delayed", 4096000, "1"}},
		"BullMQ 5.0": {{"HSET", "bull:q:meta", "opts.maxLenEvents", "10000"}, {"ZADD", "bull:q:delayed", 4096000, "1"}, {"ZADD", "bull:q:marker", 1, "1"}},
		"BullMQ 4":   {{"HSET", "bull:q:meta", "opts.maxLenEvents", "10000"}, {"ZADD", "bull:q:delayed", 4096000, "1"}, {"LPUSH", "bull:q:wait", "0:1"}},
		"Bull":       {{"SET", "bull:q:id", "1"}, {"ZADD", "bull:q:delayed", 4096000, "1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			for _, command := range commands {
				server.Do(command...)
			}
			s := layouttest.NewStepper(t, server, bullmq.Layout(), "q", map[string]string{"orphanedAfter": "1h"})
			began := time.Now()
			for _, after := range []time.Duration{0, time.Hour, 24 * time.Hour} {
				if r := s.At(began.Add(after)); r.Due != 1 || r.Quality != backlog.Exact || r.Warning != "" {
					t.Errorf("after %s: %+v", after, r)
				}
			}
		})
	}
}
