package layout

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/sqlqueue"
)

// PgBoss is a queue of pg-boss 10 to 12 (Node.js):
// https://github.com/timgit/pg-boss/blob/12.38.0/src/plans.ts.
//
// A job is created or waits for a retry, is run once start_after has come, without anything else that
// has to move it, and is active then. A blocked one waits for other jobs. The counts in the table
// queue are written by a monitor, so they are old, and stand still without workers. Clients notify,
// with the statement that adds the job, of queues that were created with notify.
//
// Two columns came with versions of 12: job.blocked and queue.notify. A statement names them without
// their table, inside of a subquery: where the table does not have one, the name means the column
// of the same name outside, which is false.
func PgBoss() sqlqueue.Layout {
	return sqlqueue.Layout{
		Layout: backlog.Layout{
			Name: "pgBoss",
			Summary: "A queue of pg-boss 10 to 12 (Node.js). The user needs USAGE of the schema, and SELECT on `job` and `queue`. " +
				"An idle queue is noticed at once where it was created with `notify: true`, which 12 has.",
			Queue:          "name of the queue",
			MissingIsError: true,
			Parameters:     []backlog.Parameter{schemaParameter("pgboss")},
			Check:          checkSchema,
			Ready:          "jobs that are created or wait for a retry, whose time has come; blocked ones do not count",
			InFlight:       "active jobs, those of workers that are gone included until they expire",
			Oldest:         "exact: since when the oldest of the ready jobs could be run",
		},
		Counts: func(p backlog.Params) sqlqueue.Counts {
			s, _ := schemaOf(p, "pgboss")
			const (
				older   = `(VALUES (false, false)) older(blocked, notify), LATERAL `
				waiting = `FROM ` + older + `(SELECT 1 FROM S.job j WHERE j.name = {queue} AND j.state < 'active' AND NOT blocked AND j.start_after `
			)
			// The index is of (name, state, blocked, start_after).
			const probes = ` FROM ` + older + `unnest('{created,retry}'::S.job_state[]) s(state), LATERAL (SELECT j.start_after AS at FROM S.job j
				WHERE j.name = {queue} AND j.state = s.state AND j.state IN ('created', 'retry', 'active', 'failed') AND NOT blocked AND j.start_after `
			return s.counts(sqlqueue.Counts{
				Exists:   `EXISTS (SELECT 1 FROM S.queue u WHERE u.name = {queue})`,
				Ready:    waiting + `<= now()) waiting`,
				InFlight: `FROM S.job j WHERE j.name = {queue} AND j.state = 'active'`,
				Oldest:   `SELECT EXTRACT(EPOCH FROM now() - min(o.at))` + probes + `<= now() ORDER BY j.start_after LIMIT 1) o`,
				Next:     `SELECT EXTRACT(EPOCH FROM min(o.at) - now())` + probes + `> now() ORDER BY j.start_after LIMIT 1) o`,
				// Nothing notifies of a job that is not blocked any more.
				Notifies: `EXISTS (SELECT 1 FROM ` + older + `(SELECT 1 FROM S.queue u WHERE u.name = {queue} AND notify) notified) AND NOT EXISTS (
					SELECT 1 FROM ` + older + `(SELECT 1 FROM S.job j WHERE j.name = {queue} AND j.state < 'active' AND blocked) waiting)`,
			})
		},
		Notices: sqlqueue.Notices{
			Channel: func(p backlog.Params, _ string) string {
				_, name := schemaOf(p, "pgboss")
				sum := sha256.Sum224([]byte(name))
				return "pgboss_" + hex.EncodeToString(sum[:])[:24]
			},
			Queue: verbatim,
		},
	}
}
