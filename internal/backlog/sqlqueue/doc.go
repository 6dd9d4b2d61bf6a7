// Package sqlqueue knows how queues lie in tables, for all engines that speak SQL. It has no driver
// and does no I/O: it makes statements, and readings of the rows that they yield.
//
// The rooms:
//
//   - A [Layout] is one framework: where its queues are, as fragments of SQL ([Counts]), and how it
//     notifies of changes ([Notices]). Each is a file of the engine's package layout.
//   - A [Batch] joins the queues of one layout and one set of parameters, of all triggers that are due
//     together. It makes one statement for them, in which every count stops at a limit, and turns each
//     row into a reading. Two shapes of statements exist: one for engines that take an array
//     ([Batch.OverArray]), and a UNION for those that do not ([Batch.Union]).
//   - A user's own SQL is no layout of a framework: [UserQuery] wraps it, and reads its named columns.
//
// The engines differ in their driver, their dialect, how they are notified and what their errors mean.
//
// All times are differences to the server's own clock, in seconds, so that neither the clock of the
// scaler nor a time zone matters: see [Row].
package sqlqueue
