package asynq_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
)

// TestWorkers: a server is busy while it has a task of any queue. One whose key has expired is gone.
func TestWorkers(t *testing.T) {
	t.Parallel()
	now := strconv.FormatInt(time.Now().Unix(), 10)
	layouttest.CheckWorkers(t, layouttest.Query("asynq", "q"), map[string]layouttest.WorkersCase{
		"none": {Want: map[string]bool{}},
		"busy, idle and gone": {
			Keys: []string{
				"ZADD asynq:servers " + now + " asynq:servers:{web-1:7:aa} " + now + " asynq:servers:{web-2:7:bb} " + now + " asynq:servers:{web-3:7:cc}",
				"SET asynq:servers:{web-1:7:aa} x", "SET asynq:servers:{web-2:7:bb} x", "HSET asynq:workers:{web-2:7:bb} 1 x", "HSET asynq:workers:{web-3:7:cc} 1 x",
			},
			Want: map[string]bool{"web-1": false, "web-2": true},
		},
		"long ago": {
			Keys: []string{"ZADD asynq:servers 1700000000 asynq:servers:{web-1:7:aa}", "SET asynq:servers:{web-1:7:aa} x"},
			Want: map[string]bool{},
		},
		"busy without host": {
			Keys: []string{"ZADD asynq:servers " + now + " asynq:servers:{:7:aa}", "SET asynq:servers:{:7:aa} x", "HSET asynq:workers:{:7:aa} 1 x"},
			Err:  backlog.ErrPartial,
		},
	})
}

// TestAsynqBusyServers: servers report whether they work.
func TestAsynqBusyServers(t *testing.T) {
	t.Parallel()
	a := startAsynq(t)
	source := layouttest.OpenForWorkers(t, a.server, "%R~asynq:{*}:* %R~asynq:servers* %R~asynq:workers:*")
	host, q := layouttest.Hostname(t), layouttest.Query("asynq", "emails")
	layouttest.AwaitWorkers(t, "no server", source, q, map[string]bool{})
	a.start(t).Do(nil, "work", "emails", 1)
	layouttest.AwaitWorkers(t, "an idle server", source, q, map[string]bool{host: false})
	a.add("emails", "hang", asynqOptions{})
	layouttest.AwaitWorkers(t, "a task", source, q, map[string]bool{host: true})
}
