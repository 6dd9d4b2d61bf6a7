// Package mysql reads queues that lie in tables of MySQL or MariaDB: those of job frameworks, and what a
// user's own SQL counts.
//
// A source has two connections at most, however many triggers there are: one reads the layouts of
// frameworks, a hundred queues in each statement, and one runs the SQL of users, so that a slow one
// delays no framework. There are no events: idle queues are polled.
//
// The frameworks are in the package layout, and what all SQL engines share is in sqlqueue.
package mysql
