package rq

import (
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// workers returns the reader of the workers that have a job of any queue. PREFIX:workers has
// the keys of their hashes, which expire after a worker was killed. A worker writes its state and
// its job when it begins one, and not by heartbeats.
// https://github.com/rq/rq/blob/master/rq/worker/base.py, WorkerStatus
func workers(q backlog.Query) layout.Reader {
	all := prefixOf(q.Params) + ":workers"
	return &layout.WorkerReader{
		List: func(time.Time) resp.Command {
			return resp.Command{Key: all, Args: []any{"SRANDMEMBER", all, layout.MaxWorkers}}
		},
		Ask: func(dst []resp.Command, key string) []resp.Command {
			return append(dst, resp.Command{Key: key, Args: []any{"HMGET", key, "hostname", "state", "current_job"}})
		},
		Take: func(c *resp.Decoder, _ string) layout.Worker {
			fields := c.Strings(3)
			host, state, job := fields[0], fields[1], fields[2]
			idle := job == "" && (state == "idle" || state == "started" || state == "suspended")
			return layout.Worker{Host: host, Busy: !idle, Gone: host+state+job == ""}
		},
		Name: "a worker of RQ writes the name of its host into its hash, as hostname",
	}
}
