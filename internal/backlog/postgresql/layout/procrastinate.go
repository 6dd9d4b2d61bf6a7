package layout

import (
	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/sqlqueue"
)

// Procrastinate is a queue of Procrastinate 2 and 3 (Python):
// https://github.com/procrastinate-org/procrastinate/blob/3.10.0/procrastinate/sql/schema.sql.
//
// A job is todo, also while its time has not come, then doing. Nothing else has to move it. A trigger
// notifies of each new job that is todo, on a channel of its queue; retrying a failed job by hand does
// not notify. The channels of version 2 have other names, and its queues are polled.
func Procrastinate() sqlqueue.Layout {
	return sqlqueue.Layout{
		Layout: backlog.Layout{
			Name:       "procrastinate",
			Summary:    "A queue of Procrastinate 2 and 3 (Python). The user needs USAGE of the schema, and SELECT on `procrastinate_jobs`. An idle queue of version 3 is noticed at once.",
			Queue:      "name of the queue, such as default",
			Parameters: []backlog.Parameter{schemaParameter("public")},
			Check:      checkSchema,
			Ready:      "jobs that are todo and whose time has come, those that wait for a lock included",
			InFlight:   "jobs that are doing, those of workers that are gone included",
			Oldest:     "since when the oldest scheduled job could be run, a lower bound: Procrastinate does not keep when others were added",
		},
		Counts: func(p backlog.Params) sqlqueue.Counts {
			s, _ := schemaOf(p, "public")
			const todo = `FROM S.procrastinate_jobs j WHERE j.queue_name = {queue} AND j.status = 'todo'`
			return s.counts(sqlqueue.Counts{
				Exists:        `EXISTS (SELECT 1 FROM S.procrastinate_jobs j WHERE j.queue_name = {queue} LIMIT 1)`,
				Ready:         todo + ` AND (j.scheduled_at IS NULL OR j.scheduled_at <= now())`,
				InFlight:      `FROM S.procrastinate_jobs j WHERE j.queue_name = {queue} AND j.status = 'doing'`,
				OldestIsBound: true,
				Oldest:        `SELECT EXTRACT(EPOCH FROM now() - min(j.scheduled_at)) ` + todo + ` AND j.scheduled_at <= now()`,
				Next:          `SELECT EXTRACT(EPOCH FROM min(j.scheduled_at) - now()) ` + todo + ` AND j.scheduled_at > now()`,
				Notifies:      `EXISTS (SELECT 1 FROM pg_trigger t WHERE t.tgrelid = 'S.procrastinate_jobs'::regclass AND t.tgname = 'procrastinate_jobs_notify_queue_job_inserted_v1' AND t.tgenabled <> 'D')`,
			})
		},
		Notices: sqlqueue.Notices{
			Channel: func(_ backlog.Params, queue string) string { return "procrastinate_queue_v1#" + queue },
		},
	}
}
