package layout

import (
	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/sqlqueue"
)

// GraphileWorker is the jobs of one task of Graphile Worker (Node.js), from 0.16 on:
// https://github.com/graphile/worker/tree/v0.18.0/sql.
//
// Row-level security without a policy hides every row of the tables from all but their owner, without
// an error. So the view jobs is read, which has the rights of its owner. A job is run once run_at has
// come, without anything else that has to move it. It is locked while it runs, and stays in the table
// without attempts left when it has failed for good. The functions that add jobs notify on one
// channel for all tasks.
func GraphileWorker() sqlqueue.Layout {
	return sqlqueue.Layout{
		Layout: backlog.Layout{
			Name: "graphileWorker",
			Summary: "The jobs of one task of Graphile Worker (Node.js). The user needs USAGE of the schema, and SELECT on the view `jobs`. " +
				"Rights on the tables themselves do not help, because row-level security hides their rows.",
			Queue:      "identifier of the task, such as send_email",
			Parameters: []backlog.Parameter{schemaParameter("graphile_worker")},
			Check:      checkSchema,
			SharesKeys: true,
			Ready:      "jobs whose time has come, that are not locked and have attempts left",
			InFlight:   "locked jobs, those of workers that are gone included",
			Oldest:     "exact: since when the oldest of the ready jobs could be run",
		},
		Counts: func(p backlog.Params) sqlqueue.Counts {
			s, _ := schemaOf(p, "graphile_worker")
			const waiting = `FROM S.jobs j WHERE j.task_identifier = {queue} AND j.locked_at IS NULL AND j.attempts < j.max_attempts AND j.run_at `
			return s.counts(sqlqueue.Counts{
				Exists:   `EXISTS (SELECT 1 FROM S.jobs j WHERE j.task_identifier = {queue} LIMIT 1)`,
				Ready:    waiting + `<= now()`,
				InFlight: `FROM S.jobs j WHERE j.task_identifier = {queue} AND j.locked_at IS NOT NULL`,
				Oldest:   `SELECT EXTRACT(EPOCH FROM now() - min(j.run_at)) ` + waiting + `<= now()`,
				Next:     `SELECT EXTRACT(EPOCH FROM min(j.run_at) - now()) ` + waiting + `> now()`,
			})
		},
		Notices: sqlqueue.Notices{Channel: fixed("jobs:insert")},
	}
}
