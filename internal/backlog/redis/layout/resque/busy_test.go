package resque_test

import (
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
)

// TestWorkers: a worker is busy while it has a job of any queue.
func TestWorkers(t *testing.T) {
	t.Parallel()
	layouttest.CheckWorkers(t, layouttest.Query("resque", "q"), map[string]layouttest.WorkersCase{
		"none": {Want: map[string]bool{}},
		"busy and idle": {
			Keys: []string{"SADD resque:workers web-1:7:q web-1:8:q,r web-2:7:*", "SET resque:worker:web-1:8:q,r nonsense"},
			Want: map[string]bool{"web-1": true, "web-2": false},
		},
		"several queues": {
			Query: layouttest.Query("resque", "q,r*", "namespace", "app"), Keys: []string{"SADD app:workers a:1:b", "SET app:worker:a:1:b x"},
			Want: map[string]bool{"a": true},
		},
		"busy without host": {Keys: []string{"SADD resque:workers :7:q", "SET resque:worker::7:q x"}, Err: backlog.ErrPartial},
	})
}

// TestResqueBusyWorkers: workers of node-resque report whether they work.
func TestResqueBusyWorkers(t *testing.T) {
	t.Parallel()
	r := startResque(t, "shop")
	source := layouttest.OpenForWorkers(t, r.server, "%R~shop:*")
	host, q := layouttest.Hostname(t), layouttest.Query("resque", "emails", "namespace", "shop")
	layouttest.AwaitWorkers(t, "no worker", source, q, map[string]bool{})
	r.start("worker", "emails")
	layouttest.AwaitWorkers(t, "an idle worker", source, q, map[string]bool{host: false})
	r.Do(nil, "push", "emails", "sleep", 3_600_000)
	layouttest.AwaitWorkers(t, "a job", source, q, map[string]bool{host: true})
}
