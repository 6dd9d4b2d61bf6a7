package layout

import (
	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/sqlqueue"
)

// DelayedJob is a queue of Delayed::Job (Ruby):
// https://github.com/collectiveidea/delayed_job_active_record/blob/v4.1.11/lib/generators/delayed_job/templates/migration.rb.
//
// A job is run once run_at has come, and locked_at is set while a worker has it. failed_at is set when
// it has failed for good; otherwise it is deleted at its end. Most jobs have no queue, and workers take
// all of them unless they are limited to queues. All times are in UTC.
func DelayedJob() sqlqueue.Layout {
	const of = "FROM delayed_jobs j WHERE ({queue} = '*' OR j.queue = {queue}) AND j.failed_at IS NULL"
	const waiting = of + " AND j.locked_at IS NULL AND j.run_at "
	return sqlqueue.Layout{
		Layout: backlog.Layout{
			Name:     "delayedJob",
			Summary:  "A queue of Delayed::Job (Ruby). The user needs SELECT on `delayed_jobs`.",
			Queue:    "name of the queue, or * for all jobs, as a worker without queues takes them",
			Ready:    "jobs whose time has come, that are not locked and have not failed",
			InFlight: "locked jobs, those of workers that are gone included: they are taken again after `max_run_time`",
			Oldest:   "exact: since when the oldest of the ready jobs could be run",
		},
		Counts: func(backlog.Params) sqlqueue.Counts {
			return sqlqueue.Counts{
				Exists:   "EXISTS (SELECT 1 " + of + ")",
				Ready:    waiting + "<= UTC_TIMESTAMP(6)",
				InFlight: of + " AND j.locked_at IS NOT NULL",
				Oldest:   "SELECT " + since("MIN(j.run_at)") + " " + waiting + "<= UTC_TIMESTAMP(6)",
				Next:     "SELECT " + until("MIN(j.run_at)") + " " + waiting + "> UTC_TIMESTAMP(6)",
			}
		},
	}
}
