package sidekiq_test

import (
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
)

// TestWorkers: a process is busy with a job of any queue, and while its heartbeat is late. One that has expired is gone.
func TestWorkers(t *testing.T) {
	t.Parallel()
	layouttest.CheckWorkers(t, layouttest.Query("sidekiq", "q"), map[string]layouttest.WorkersCase{
		"none": {Want: map[string]bool{}},
		"busy and idle": {
			Keys: []string{
				"SADD processes web-1:7:aa web-2:7:bb web-2:8:cc web-3:7:dd",
				"HSET web-1:7:aa busy 0 beat 1700000000.5", "HSET web-2:7:bb busy 0 beat 1700000001.5", "HSET web-2:8:cc busy 2 beat 1700000002",
			},
			Want: map[string]bool{"web-1": false, "web-2": true},
		},
		"late heartbeat": {
			Keys: []string{"SADD processes web-1:7:aa web-2:7:bb", "HSET web-1:7:aa busy 0 beat 1700000000", "HSET web-2:7:bb busy 0 beat 1700000021"},
			Want: map[string]bool{"web-1": true, "web-2": false},
		},
		"no number": {
			Keys: []string{"SADD processes web-1:7:aa", "HSET web-1:7:aa busy no beat 1700000000"},
			Want: map[string]bool{"web-1": true},
		},
		"no heartbeat": {
			Keys: []string{"SADD processes web-1:7:aa web-2:7:bb", "HSET web-1:7:aa busy 0", "HSET web-2:7:bb busy 0 beat 1700000021"},
			Want: map[string]bool{"web-1": true, "web-2": false},
		},
		"no time":                    {Keys: []string{"SADD processes web-1:7:aa", "HSET web-1:7:aa busy 0 beat now"}, Err: backlog.ErrPartial},
		"busy without host":          {Keys: []string{"SADD processes :7:aa", "HSET :7:aa busy 1 beat 1700000000"}, Err: backlog.ErrPartial},
		"several queues, namespaced": {Query: layouttest.Query("sidekiq", "q,r*", "namespace", "app"), Keys: []string{"SADD app:processes a:1:b", "HSET app:a:1:b busy 1 beat 1"}, Want: map[string]bool{"a": true}},
		"another type":               {Keys: []string{"SET processes text"}, Err: backlog.ErrMismatch},
	})
}

// TestSidekiqBusyWorkers: processes of each version report whether they work.
func TestSidekiqBusyWorkers(t *testing.T) {
	t.Parallel()
	eachSidekiq(t, func(t *testing.T, s *library) {
		t.Helper()
		source := layouttest.OpenForWorkers(t, s.server, "%R~*")
		host, q := layouttest.Hostname(t), layouttest.Query("sidekiq", "emails")
		layouttest.AwaitWorkers(t, "no process", source, q, map[string]bool{})
		s.start("worker", "emails")
		layouttest.AwaitWorkers(t, "an idle process", source, q, map[string]bool{host: false})
		s.Do(nil, "push", "emails", "SleepJob", 3600)
		layouttest.AwaitWorkers(t, "a job", source, q, map[string]bool{host: true})
	})
}
