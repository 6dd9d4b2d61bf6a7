package taskiq_test

import (
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
)

// TestTaskiqBusyWorkers: a worker is known by the name of its consumer while it has a task.
func TestTaskiqBusyWorkers(t *testing.T) {
	t.Parallel()
	p := startTaskiq(t, "stream")
	source := layouttest.OpenForWorkers(t, p.Server, "%R~taskiq*")
	host, q := layouttest.Hostname(t), layouttest.Query("taskiq", "taskiq", "broker", "stream")
	p.Do(nil, "startup", "taskiq")
	layouttest.AwaitWorkers(t, "no worker", source, q, map[string]bool{})
	p.Do(nil, "add", "taskiq", "hold", map[string]any{})
	p.Work(t, "taskiq", false, host)
	layouttest.AwaitWorkers(t, "a task", source, q, map[string]bool{host: true})
	layouttest.AwaitNoWorkers(t, source, layouttest.Query("taskiq", "taskiq", "broker", "list"), backlog.ErrMismatch)
}
