package layout

import (
	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/sqlqueue"
)

// GoodJob is a queue of GoodJob (Ruby on Rails):
// https://github.com/bensheldon/good_job/blob/v4.11.1/lib/generators/good_job/templates/install/migrations/create_good_jobs.rb.erb.
//
// A job is run once scheduled_at has come, without anything else that has to move it. performed_at is
// set when it begins, and finished_at when it ends; a retry clears performed_at. All times are in UTC,
// in columns without a time zone. The process that enqueues a job notifies, unless it runs the job
// itself or enable_listen_notify is off.
func GoodJob() sqlqueue.Layout {
	return sqlqueue.Layout{
		Layout: backlog.Layout{
			Name:       "goodJob",
			Summary:    "A queue of GoodJob (Ruby on Rails). The user needs USAGE of the schema, and SELECT on `good_jobs`.",
			Queue:      "name of the queue, such as default",
			Parameters: []backlog.Parameter{schemaParameter("public")},
			Check:      checkSchema,
			Ready:      "jobs whose time has come and that were not begun",
			InFlight:   "jobs that were begun and are not finished, those of processes that are gone included",
			Oldest:     "exact: since when the oldest of the ready jobs could be run",
		},
		Counts: func(p backlog.Params) sqlqueue.Counts {
			s, _ := schemaOf(p, "public")
			const unfinished = `FROM S.good_jobs j WHERE j.queue_name = {queue} AND j.finished_at IS NULL`
			const waiting = unfinished + ` AND j.performed_at IS NULL`
			return s.counts(sqlqueue.Counts{
				Exists:   `EXISTS (SELECT 1 ` + unfinished + ` LIMIT 1)`,
				Ready:    waiting + ` AND (j.scheduled_at IS NULL OR j.scheduled_at <= ` + utc + `)`,
				InFlight: unfinished + ` AND j.performed_at IS NOT NULL`,
				Oldest:   `SELECT EXTRACT(EPOCH FROM ` + utc + ` - min(o.at)) FROM (SELECT COALESCE(j.scheduled_at, j.created_at) AS at ` + waiting + ` AND (j.scheduled_at IS NULL OR j.scheduled_at <= ` + utc + `) ORDER BY j.scheduled_at NULLS FIRST LIMIT 1) o`,
				Next:     `SELECT EXTRACT(EPOCH FROM j.scheduled_at - ` + utc + `) ` + waiting + ` AND j.scheduled_at > ` + utc + ` ORDER BY j.scheduled_at LIMIT 1`,
			})
		},
		Notices: sqlqueue.Notices{Channel: fixed("good_job"), Queue: fieldOf("queue_name"), ByClient: true},
	}
}
