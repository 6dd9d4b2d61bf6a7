package rq_test

import (
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
)

// TestWorkers: a worker is idle only if it says so and has no job. One whose hash has expired is gone.
func TestWorkers(t *testing.T) {
	t.Parallel()
	layouttest.CheckWorkers(t, layouttest.Query("rq", "q"), map[string]layouttest.WorkersCase{
		"none": {Want: map[string]bool{}},
		"states": {
			Keys: []string{
				"SADD rq:workers rq:worker:a rq:worker:b rq:worker:c rq:worker:d rq:worker:e",
				"HSET rq:worker:a hostname web-1 state idle", "HSET rq:worker:b hostname web-2 state busy current_job x",
				"HSET rq:worker:c hostname web-3 state idle current_job x", "HSET rq:worker:d hostname web-4 state ?",
			},
			Want: map[string]bool{"web-1": false, "web-2": true, "web-3": true, "web-4": true},
		},
		"idle without host": {Keys: []string{"SADD rq:workers rq:worker:a", "HSET rq:worker:a state idle"}, Want: map[string]bool{}},
		"busy without host": {Keys: []string{"SADD rq:workers rq:worker:a", "HSET rq:worker:a state busy"}, Err: backlog.ErrPartial},
		"several queues": {
			Query: layouttest.Query("rq", "q,r*", "prefix", "app"), Keys: []string{"SADD app:workers app:worker:a", "HSET app:worker:a hostname a state busy"},
			Want: map[string]bool{"a": true},
		},
	})
}

// TestRQBusyWorkers: workers of each version report whether they work.
func TestRQBusyWorkers(t *testing.T) {
	t.Parallel()
	eachRQ(t, func(t *testing.T, p *layouttest.Python) {
		t.Helper()
		source := layouttest.OpenForWorkers(t, p.Server, "%R~rq:*")
		host, q := layouttest.Hostname(t), layouttest.Query("rq", "emails")
		layouttest.AwaitWorkers(t, "no worker", source, q, map[string]bool{})
		p.Work(t, "emails", map[string]any{})
		layouttest.AwaitWorkers(t, "an idle worker", source, q, map[string]bool{host: false})
		p.Do(nil, "add", "emails", "hold", map[string]any{})
		layouttest.AwaitWorkers(t, "a job", source, q, map[string]bool{host: true})
	})
}
