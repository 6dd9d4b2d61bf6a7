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
// UTC, in columns without a time zone. It does not notify.
func SolidQueue() sqlqueue.Layout {
	return sqlqueue.Layout{
		Layout: backlog.Layout{
			Name: "solidQueue",
			Summary: "A queue of Solid Queue (Ruby on Rails). The user needs USAGE of the schema, and SELECT on `solid_queue_jobs`, `solid_queue_ready_executions`, " +
				"`solid_queue_scheduled_executions`, `solid_queue_claimed_executions` and `solid_queue_pauses`. It is polled, because Solid Queue does not notify.",
			Queue:      "name of the queue, such as default",
			Parameters: []backlog.Parameter{schemaParameter("public")},
			Check:      checkSchema,
			Ready:      "ready executions; blocked ones do not count",
			Due:        "scheduled executions whose time has come: only a dispatcher process makes them ready",
			InFlight:   "claimed executions, those of processes that are gone included",
			Oldest:     "exact: since when the oldest of these could be run",
		},
		Counts: func(p backlog.Params) sqlqueue.Counts {
			s, _ := schemaOf(p, "public")
			const scheduled = `FROM S.solid_queue_scheduled_executions e WHERE e.queue_name = {queue} AND e.scheduled_at `
			return s.counts(sqlqueue.Counts{
				Exists:   `EXISTS (SELECT 1 FROM S.solid_queue_jobs j WHERE j.queue_name = {queue} LIMIT 1)`,
				Ready:    `FROM S.solid_queue_ready_executions e WHERE e.queue_name = {queue}`,
				Due:      scheduled + `<= ` + utc,
				InFlight: `FROM S.solid_queue_claimed_executions e JOIN S.solid_queue_jobs j ON j.id = e.job_id WHERE j.queue_name = {queue}`,
				Oldest: `SELECT EXTRACT(EPOCH FROM ` + utc + ` - least((SELECT min(b.created_at) FROM (SELECT e.created_at FROM S.solid_queue_ready_executions e WHERE e.queue_name = {queue} LIMIT {limit}) b),
					(SELECT min(e.scheduled_at) ` + scheduled + `<= ` + utc + `)))`,
				Next:   `SELECT EXTRACT(EPOCH FROM min(e.scheduled_at) - ` + utc + `) ` + scheduled + `> ` + utc,
				Paused: `EXISTS (SELECT 1 FROM S.solid_queue_pauses p WHERE p.queue_name = {queue})`,
			})
		},
	}
}
