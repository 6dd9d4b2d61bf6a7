package layout

import (
	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/sqlqueue"
)

// BullMQ is a queue of BullMQ 6 (Node.js) with its backend for PostgreSQL:
// https://github.com/taskforcesh/bullmq/tree/v6.7.0/src/postgres.
//
// A job is waiting, active, and then completed or failed. A delayed one becomes waiting when its time
// has come, by a worker. One that waits for its children is neither. Times are numbers of
// milliseconds. A queue is paused by a row of meta, without a change of its jobs. The functions that
// move jobs notify.
func BullMQ() sqlqueue.Layout {
	return sqlqueue.Layout{
		Layout: backlog.Layout{
			Name:       "bullmqPg",
			Summary:    "A queue of BullMQ 6 (Node.js) on PostgreSQL; on Redis it is a layout of that engine. The user needs USAGE of the schema, and SELECT on `job` and `meta`.",
			Queue:      "name of the queue",
			Parameters: []backlog.Parameter{schemaParameter("bullmq")},
			Check:      checkSchema,
			Ready:      "waiting jobs, prioritised ones included",
			Due:        "delayed jobs whose time has come: only a worker moves them",
			InFlight:   "active jobs, those of workers that are gone included until they are found stalled",
			Oldest:     "since when the next job has been waiting: a lower bound if jobs have priorities",
		},
		Counts: func(p backlog.Params) sqlqueue.Counts {
			s, _ := schemaOf(p, "bullmq")
			const millis = `(EXTRACT(EPOCH FROM now()) * 1000)`
			return s.counts(sqlqueue.Counts{
				Exists:        `EXISTS (SELECT 1 FROM S.meta m WHERE m.queue = {queue}) OR EXISTS (SELECT 1 FROM S.job j WHERE j.queue = {queue} LIMIT 1)`,
				Ready:         `FROM S.job j WHERE j.queue = {queue} AND j.state = 'waiting'`,
				Due:           `FROM S.job j WHERE j.queue = {queue} AND j.state = 'delayed' AND j.process_at_ms <= ` + millis,
				InFlight:      `FROM S.job j WHERE j.queue = {queue} AND j.state = 'active'`,
				OldestIsBound: true,
				Oldest:        `SELECT (` + millis + ` - j.added_at_ms) / 1000 FROM S.job j WHERE j.queue = {queue} AND j.state = 'waiting' ORDER BY j.priority, j.seq LIMIT 1`,
				Next:          `SELECT (j.process_at_ms - ` + millis + `) / 1000 FROM S.job j WHERE j.queue = {queue} AND j.state = 'delayed' AND j.process_at_ms > ` + millis + ` ORDER BY j.process_at_ms LIMIT 1`,
				Paused:        `EXISTS (SELECT 1 FROM S.meta m WHERE m.queue = {queue} AND m.field = 'paused' AND m.value = '1')`,
				MaxUseful:     `SELECT m.value::numeric::bigint FROM S.meta m WHERE m.queue = {queue} AND m.field = 'concurrency' AND m.value ~ '^[0-9]{1,9}$'`,
			})
		},
		Notices: sqlqueue.Notices{Channel: fixed("bullmq_jobs"), Queue: verbatim},
	}
}
