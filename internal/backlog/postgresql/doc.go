// Package postgresql reads queues that lie in tables of PostgreSQL: those of job frameworks, and what
// a user's own SQL counts.
//
// A [source] has three connections at most, however many triggers there are:
//
//   - one that reads the layouts of frameworks ([link]): one statement for all queues of a layout, in
//     a read-only transaction with a timeout, which are sent together,
//   - one that runs the SQL of users, so that a slow one delays no framework,
//   - one that listens ([listener]) to the channels on which frameworks notify.
//
// The frameworks are in the package layout, and what all SQL engines share is in sqlqueue. Statements
// are not prepared, and nothing is set for a session, so that a pooler between transactions does no
// harm. It does swallow notifications: LISTEN succeeds through it and nothing arrives. So the listener
// is trusted only after it has heard what the reading connection has sent ([listener.expect]).
package postgresql
