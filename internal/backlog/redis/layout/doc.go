// Package layout is what a layout may use: a layout says how the queues of one job framework,
// or of one Redis type, lie in Redis, and how they are read.
//
// A [Layout] describes itself (names, parameters, what its numbers mean) and prepares a
// [Step] for each query. A step says what to ask and turns the replies into a reading, an
// error or a further step. It never talks to a server: the engine sends the commands of all
// queues that are due in one pipeline for each server and round trip.
//
// The rest of the package is what layouts have in common:
//
//   - [Discovery], [KeyPattern], [Registry]: where the queues are found that match a pattern,
//     and whether a queue that is empty exists.
//   - [KeySearch]: keys whose names the query does not determine, searched in the background.
//   - [Clock], [Schedule]: sorted sets of future work.
//   - [Orphans], [Streak]: work that nothing in the framework will move.
//
// The layouts themselves are packages below this one: native for the types of Redis, and one
// for each framework.
package layout
