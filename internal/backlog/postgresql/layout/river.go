package layout

import (
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/sqlqueue"
)

// riverQuiet is for how long River's clients may leave out further notifications of a queue: their
// FetchCooldown, 100 ms by default and at most FetchPollInterval, 1 s by default
// (https://github.com/riverqueue/river/blob/v0.51.2/internal/notifylimiter). Twice that.
const riverQuiet = 2 * time.Second

// River is a queue of River (Go), in the tables that its migrations make from version 4 on:
// https://github.com/riverqueue/river/tree/v0.51.2/riverdriver/riverpgxv5/migration/main.
//
// A job is available, running, and then completed, discarded or cancelled. Scheduled and retryable
// ones become available when their time has come, by a client that is elected leader: without a
// client they stay. Pending ones wait for something else than time. Clients notify of available jobs
// since migration 4 dropped the trigger.
func River() sqlqueue.Layout {
	return sqlqueue.Layout{
		Layout: backlog.Layout{
			Name:       "river",
			Summary:    "A queue of River (Go). The user needs USAGE of the schema, and SELECT on `river_job` and `river_queue`.",
			Queue:      "name of the queue, such as default",
			Parameters: []backlog.Parameter{schemaParameter("public")},
			Check:      checkSchema,
			Ready:      "available jobs",
			Due:        "scheduled and retryable jobs whose time has come: only the leader among the clients makes them available",
			InFlight:   "running jobs, those of clients that are gone included",
			Oldest:     "exact: since when the oldest of these could be run",
		},
		Counts: func(p backlog.Params) sqlqueue.Counts {
			s, _ := schemaOf(p, "public")
			const of = " FROM S.river_job j WHERE j.queue = {queue} AND j.state = "
			return s.counts(sqlqueue.Counts{
				Exists: `EXISTS (SELECT 1 FROM S.river_queue u WHERE u.name = {queue}) OR EXISTS (SELECT 1 FROM S.river_job j
					WHERE j.queue = {queue} AND j.state IN ('available', 'retryable', 'running', 'scheduled', 'pending') LIMIT 1)`,
				Ready:    of + `'available' AND j.scheduled_at <= now()`,
				Due:      ` FROM S.river_job j WHERE j.queue = {queue} AND j.state IN ('retryable', 'scheduled') AND j.scheduled_at <= now()`,
				InFlight: of + `'running'`,
				// The index is of (state, queue, priority, scheduled_at): one probe for each priority.
				Oldest: `SELECT EXTRACT(EPOCH FROM now() - min(o.at)) FROM unnest('{available,retryable,scheduled}'::S.river_job_state[]) s(state), generate_series(1, 4) p(priority),
					LATERAL (SELECT j.scheduled_at AS at FROM S.river_job j WHERE j.state = s.state AND j.queue = {queue} AND j.priority = p.priority AND j.scheduled_at <= now() ORDER BY j.scheduled_at LIMIT 1) o`,
				Next: `SELECT EXTRACT(EPOCH FROM min(o.at) - now()) FROM unnest('{available,retryable,scheduled}'::S.river_job_state[]) s(state), generate_series(1, 4) p(priority),
					LATERAL (SELECT j.scheduled_at AS at FROM S.river_job j WHERE j.state = s.state AND j.queue = {queue} AND j.priority = p.priority AND j.scheduled_at > now() ORDER BY j.scheduled_at LIMIT 1) o`,
				Paused: `EXISTS (SELECT 1 FROM S.river_queue u WHERE u.name = {queue} AND u.paused_at IS NOT NULL)`,
			})
		},
		Notices: sqlqueue.Notices{
			Channel: func(p backlog.Params, _ string) string {
				_, name := schemaOf(p, "public")
				return name + ".river_insert"
			},
			Queue:    fieldOf("queue"),
			ByClient: true,
			Quiet:    riverQuiet,
		},
	}
}
