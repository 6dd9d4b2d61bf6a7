// Package layout knows where job frameworks keep their queues in MySQL and MariaDB: one file for each.
package layout

import "github.com/backlog-scaler/backlog-scaler/internal/backlog/sqlqueue"

// All returns the layouts of the frameworks.
func All() []sqlqueue.Layout {
	return []sqlqueue.Layout{Laravel(), SolidQueue(), DelayedJob()}
}

// since returns the seconds from a time in UTC until now. Rails writes times in UTC, in columns without
// a time zone.
func since(at string) string {
	return "TIMESTAMPDIFF(MICROSECOND, " + at + ", UTC_TIMESTAMP(6)) / 1000000"
}

// until returns the seconds from now to a time in UTC.
func until(at string) string {
	return "TIMESTAMPDIFF(MICROSECOND, UTC_TIMESTAMP(6), " + at + ") / 1000000"
}
