package layout

import (
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/sqlqueue"
)

// pgmqTrigger finds the trigger that pgmq.enable_notify_insert makes.
const pgmqTrigger = `EXISTS (SELECT 1 FROM pg_trigger t WHERE t.tgrelid = '{table}'::regclass AND t.tgname = 'trigger_notify_queue_insert_listeners' AND t.tgenabled <> 'D')`

// pgmqThrottles are the expressions of the pause in milliseconds between notifications of a queue, by
// what pgmqVersion finds: pgmq before 1.8 has no pauses; where the user may not read them nothing is
// known; and a queue without a row is not notified of at all, because the table is not logged, and empty
// after a crash.
func pgmqThrottles() []string {
	return []string{`0`, `NULL::int`, `SELECT n.throttle_interval_ms FROM pgmq.notify_insert_throttle n WHERE n.queue_name = {queue}`}
}

// pgmqVersion is the index of what pgmqThrottles has for this database.
const pgmqVersion = `CASE WHEN to_regclass('pgmq.notify_insert_throttle') IS NULL THEN 0
	WHEN NOT has_table_privilege(to_regclass('pgmq.notify_insert_throttle')::oid, 'SELECT') THEN 1 ELSE 2 END`

// PGMQ is a queue of pgmq, an extension or a set of functions:
// https://github.com/pgmq/pgmq/blob/v1.13.0/pgmq-extension/sql/pgmq.sql.
//
// A queue is the table pgmq.q_NAME. A message is visible from vt on. Reading moves vt into the future
// and counts in read_ct; until then a message that was never read is delayed. pgmq.metrics counts the
// whole table, so it is not used. The trigger of pgmq.enable_notify_insert notifies of new rows, at
// most once in an interval, and never of messages that become visible again.
func PGMQ() sqlqueue.Layout {
	return sqlqueue.Layout{
		Layout: backlog.Layout{
			Name: "pgmq",
			Summary: "A queue of pgmq. The user needs USAGE of the schema `pgmq`, and SELECT on `pgmq.meta` and the queue's table `pgmq.q_NAME`. " +
				"An idle queue is noticed at once where `pgmq.enable_notify_insert` was called for it, and the user has SELECT on `pgmq.notify_insert_throttle`.",
			Queue:          "name of the queue",
			MissingIsError: true,
			Ready:          "messages that are visible",
			InFlight:       "messages that were read and are not visible yet",
			Oldest:         "exact: since when the first visible message has been in the queue",
		},
		Tables: func(backlog.Params) string {
			return `SELECT q.i - 1, format('%I.%I', n.nspname, c.relname), CASE WHEN has_any_column_privilege(c.oid, 'SELECT') THEN ` + pgmqVersion + ` END FROM unnest($1::text[]) WITH ORDINALITY AS q(name, i)
				JOIN pgmq.meta m ON m.queue_name = q.name JOIN pg_namespace n ON n.nspname = 'pgmq' JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = lower('q_' || q.name)`
		},
		Variants: pgmqThrottles(),
		Counts: func(backlog.Params) sqlqueue.Counts {
			return sqlqueue.Counts{
				Exists:   `true`,
				Ready:    `FROM {table} m WHERE m.vt <= now()`,
				InFlight: `FROM {table} m WHERE m.vt > now() AND m.read_ct > 0`,
				Oldest:   `SELECT EXTRACT(EPOCH FROM now() - m.enqueued_at) FROM {table} m WHERE m.vt <= now() ORDER BY m.msg_id LIMIT 1`,
				Next:     `SELECT EXTRACT(EPOCH FROM m.vt - now()) FROM {table} m WHERE m.vt > now() AND m.read_ct = 0 ORDER BY m.vt LIMIT 1`,
				Notifies: `CASE WHEN ` + pgmqTrigger + ` THEN ({variant}) IS NOT NULL ELSE false END`,
				Quiet:    `CASE WHEN ` + pgmqTrigger + ` THEN COALESCE(({variant}), 0) ELSE 0 END`,
				Enqueued: `SELECT CASE WHEN has_sequence_privilege(s.name, 'SELECT') THEN COALESCE(pg_sequence_last_value(s.name::regclass), 0) END FROM pg_get_serial_sequence('{table}', 'msg_id') s(name)`,
			}
		},
		Notices: sqlqueue.Notices{
			Channel: func(_ backlog.Params, queue string) string { return "pgmq.q_" + strings.ToLower(queue) + ".INSERT" },
		},
	}
}
