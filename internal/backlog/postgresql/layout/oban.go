package layout

import (
	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/sqlqueue"
)

// Oban is a queue of Oban (Elixir), in the table of its migrations from version 9 on:
// https://github.com/oban-bg/oban/tree/v2.20.1/lib/oban/migrations/postgres.
//
// A job is available, executing, and then completed, discarded or cancelled. Scheduled and retryable
// ones become available when their time has come, by the leader among the nodes. Suspended ones wait
// for something else than time. All times are in UTC, in columns without a time zone. The nodes
// notify of available jobs since migration 12 dropped the trigger.
func Oban() sqlqueue.Layout {
	return sqlqueue.Layout{
		Layout: backlog.Layout{
			Name:       "oban",
			Summary:    "A queue of Oban (Elixir) on PostgreSQL. The user needs USAGE of the schema, and SELECT on `oban_jobs`.",
			Queue:      "name of the queue, such as default",
			Parameters: []backlog.Parameter{schemaParameter("public")},
			Check:      checkSchema,
			Ready:      "available jobs",
			Due:        "scheduled and retryable jobs whose time has come: only the leader among the nodes makes them available",
			InFlight:   "executing jobs, those of nodes that are gone included",
			Oldest:     "exact: since when the oldest of these could be run",
		},
		Counts: func(p backlog.Params) sqlqueue.Counts {
			s, _ := schemaOf(p, "public")
			// The index is of (state, queue, priority, scheduled_at), and priorities are 0 to 9.
			const probes = ` FROM unnest('{available,retryable,scheduled}'::S.oban_job_state[]) s(state), generate_series(0, 9) p(priority),
				LATERAL (SELECT j.scheduled_at AS at FROM S.oban_jobs j WHERE j.state = s.state AND j.queue = {queue} AND j.priority = p.priority AND j.scheduled_at `
			return s.counts(sqlqueue.Counts{
				Exists: `EXISTS (SELECT 1 FROM S.oban_jobs j WHERE j.queue = {queue} AND j.state IN ('available', 'retryable', 'executing', 'scheduled') LIMIT 1)`,
				// An available job is run whatever its time.
				Ready:    `FROM S.oban_jobs j WHERE j.queue = {queue} AND j.state = 'available'`,
				Due:      `FROM S.oban_jobs j WHERE j.queue = {queue} AND j.state IN ('retryable', 'scheduled') AND j.scheduled_at <= ` + utc,
				InFlight: `FROM S.oban_jobs j WHERE j.queue = {queue} AND j.state = 'executing'`,
				Oldest:   `SELECT EXTRACT(EPOCH FROM ` + utc + ` - min(o.at))` + probes + `<= ` + utc + ` ORDER BY j.scheduled_at LIMIT 1) o`,
				Next:     `SELECT EXTRACT(EPOCH FROM min(o.at) - ` + utc + `)` + probes + `> ` + utc + ` AND s.state <> 'available' ORDER BY j.scheduled_at LIMIT 1) o`,
			})
		},
		Notices: sqlqueue.Notices{
			Channel: func(p backlog.Params, _ string) string {
				_, name := schemaOf(p, "public")
				return name + ".oban_insert"
			},
			// Long payloads are compressed; those concern every queue.
			Queue:    fieldOf("queue"),
			ByClient: true,
		},
	}
}
