package layout

import (
	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/sqlqueue"
)

// SolidQueue is a queue of Solid Queue (Ruby on Rails), in its tables since 1.0:
// https://github.com/rails/solid_queue/blob/v1.2.1/lib/generators/solid_queue/install/templates/db/queue_schema.rb.
//
// A job has an execution: scheduled until its time has come, then ready by a dispatcher process, then
// claimed by a worker. A blocked one waits for another job with its concurrency key. All times are in
// UTC.
func SolidQueue() sqlqueue.Layout {
	const scheduled = "FROM solid_queue_scheduled_executions e WHERE e.queue_name = {queue} AND e.scheduled_at "
	const ready = "FROM solid_queue_ready_executions e WHERE e.queue_name = {queue}"
	return sqlqueue.Layout{
		Layout: backlog.Layout{
			Name: "solidQueue",
			Summary: "A queue of Solid Queue (Ruby on Rails). The user needs SELECT on `solid_queue_jobs`, `solid_queue_ready_executions`, " +
				"`solid_queue_scheduled_executions`, `solid_queue_claimed_executions` and `solid_queue_pauses`.",
			Queue:    "name of the queue, such as default",
			Ready:    "ready executions; blocked ones do not count",
			Due:      "scheduled executions whose time has come: only a dispatcher process makes them ready",
			InFlight: "claimed executions, those of processes that are gone included",
			Oldest:   "exact: since when the oldest of these could be run",
		},
		Counts: func(backlog.Params) sqlqueue.Counts {
			return sqlqueue.Counts{
				Exists:   "EXISTS (SELECT 1 FROM solid_queue_jobs j WHERE j.queue_name = {queue})",
				Ready:    ready,
				Due:      scheduled + "<= UTC_TIMESTAMP(6)",
				InFlight: "FROM solid_queue_claimed_executions e JOIN solid_queue_jobs j ON j.id = e.job_id WHERE j.queue_name = {queue}",
				Oldest: "SELECT MAX(o.age) FROM (SELECT " + since("MIN(e.created_at)") + " AS age " + ready +
					" UNION ALL SELECT " + since("MIN(e.scheduled_at)") + " " + scheduled + "<= UTC_TIMESTAMP(6)) o",
				Next:   "SELECT " + until("MIN(e.scheduled_at)") + " " + scheduled + "> UTC_TIMESTAMP(6)",
				Paused: "EXISTS (SELECT 1 FROM solid_queue_pauses p WHERE p.queue_name = {queue})",
			}
		},
	}
}
