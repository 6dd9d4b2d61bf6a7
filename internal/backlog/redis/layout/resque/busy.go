package resque

import (
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// busyWorkers returns the reader of the workers that have a job of any queue. The identity
// of a worker is HOST:PID:QUEUES. Its key exists while it works on a job.
// https://github.com/resque/resque/blob/master/lib/resque/worker.rb, to_s and working_on
func busyWorkers(q backlog.Query) layout.Reader {
	namespace := namespaceOf(q.Params)
	workers := namespace + ":workers"
	return &layout.WorkerReader{
		List: func(time.Time) resp.Command {
			return resp.Command{Key: workers, Args: []any{"SRANDMEMBER", workers, layout.MaxWorkers}}
		},
		Ask: func(dst []resp.Command, identity string) []resp.Command {
			key := namespace + ":worker:" + identity
			return append(dst, resp.Command{Key: key, Args: []any{"EXISTS", key}})
		},
		Take: func(c *resp.Decoder, identity string) layout.Worker {
			return layout.Worker{Host: layout.HostOf(identity), Busy: c.Count() > 0}
		},
		Name: "the identity of a Resque worker begins with the name of its host",
	}
}
