package sidekiq

import (
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// lateBeat is two heartbeats: each process sends one every 10 s, and every 5 s before Sidekiq 7.
// https://github.com/sidekiq/sidekiq/blob/v8.1.7/lib/sidekiq/launcher.rb, BEAT_PAUSE
const lateBeat = 20 * time.Second

// workers returns the reader of the processes that have a job of any queue. The identity of
// a process is HOST:PID:NONCE. Its hash expires a minute after the last heartbeat; the set keeps
// the identity for longer.
func workers(q backlog.Query) layout.Reader {
	prefix := keyPrefix(q.Params)
	processes := prefix + "processes"
	return &layout.WorkerReader{
		List: func(time.Time) resp.Command {
			return resp.Command{Key: processes, Args: []any{"SRANDMEMBER", processes, layout.MaxWorkers}}
		},
		Ask: func(dst []resp.Command, identity string) []resp.Command {
			key := prefix + identity
			return append(dst, resp.Command{Key: key, Args: []any{"HMGET", key, "busy", "beat"}})
		},
		Take: func(c *resp.Decoder, identity string) layout.Worker {
			fields := c.Strings(2)
			busy, beat := fields[0], fields[1]
			if busy == "" && beat == "" {
				return layout.Worker{Gone: true}
			}
			w := layout.Worker{Host: layout.HostOf(identity), Busy: busy != "0"}
			if beat != "" {
				w.Beat = layout.Seconds.Parse(c, beat)
			}
			return w
		},
		Late: lateBeat, Name: "the identity of a Sidekiq process begins with the name of its host",
	}
}
