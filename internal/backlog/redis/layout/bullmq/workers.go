package bullmq

import (
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// workers returns the reader of the workers that have jobs of the queue. A worker with a name writes
// it into each job that it takes, as the field pb (processed by). Nothing lists idle workers.
// https://github.com/taskforcesh/bullmq/blob/master/src/commands/includes/prepareJobForProcessing.lua
func workers(q backlog.Query) layout.Reader {
	queue := &queue{prefix: prefixOf(q.Params), name: q.Queue}
	active := queue.key("active")
	return &layout.WorkerReader{
		List: func(time.Time) resp.Command {
			return resp.Command{Key: active, Args: []any{"LRANGE", active, 0, layout.MaxWorkers - 1}}
		},
		Ask: func(dst []resp.Command, id string) []resp.Command {
			key := queue.key(id)
			return append(dst, resp.Command{Key: key, Args: []any{"HGET", key, "pb"}})
		},
		Take: func(c *resp.Decoder, _ string) layout.Worker {
			name, _ := c.Text()
			return layout.Worker{Host: name, Busy: true}
		},
		Name: "set the option name of each Worker to the name of its host (BullMQ 5 and later)",
	}
}
