package asynq

import (
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// The keys in which a server, as asynq calls a process with workers, writes what it does.
const (
	servers      = "asynq:servers"
	serverPrefix = "asynq:servers:"
	workerPrefix = "asynq:workers:"
)

// serverLife is how long ago a server may have ended, by the clock of the scaler. A server that was
// killed stays in the set of all servers; this bounds how many of them are asked about.
const serverLife = time.Hour

// workers returns the reader of the servers that have a task of any queue.
//
//   - asynq:servers has asynq:servers:{HOST:PID:ID} for each server, with the time at which that
//     key expires: two heartbeats of 5 s after the last one.
//   - asynq:workers:{HOST:PID:ID} has an entry for each task that the server works on, as of its
//     last heartbeat.
//
// https://github.com/hibiken/asynq/blob/v0.26.0/internal/rdb/rdb.go, WriteServerState
func workers(backlog.Query) layout.Reader {
	return &layout.WorkerReader{
		List: func(now time.Time) resp.Command {
			since := layout.Seconds.Due(now.Add(-serverLife))
			return resp.Command{Key: servers, Args: layout.ByScore(servers, since, "+inf", layout.MaxWorkers, false)}
		},
		Ask: func(dst []resp.Command, key string) []resp.Command {
			tasks := workerPrefix + strings.TrimPrefix(key, serverPrefix)
			return append(
				dst,
				resp.Command{Key: tasks, Args: []any{"HLEN", tasks}},
				resp.Command{Key: key, Args: []any{"EXISTS", key}},
			)
		},
		Take: func(c *resp.Decoder, key string) layout.Worker {
			tasks, lives := c.Count(), c.Count() > 0
			identity := strings.TrimPrefix(strings.TrimPrefix(key, serverPrefix), "{")
			return layout.Worker{Host: layout.HostOf(identity), Busy: tasks > 0, Gone: !lives}
		},
		Name: "the identity of an asynq server begins with the name of its host",
	}
}
