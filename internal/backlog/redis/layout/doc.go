// Package layout is what a layout may use: a layout says how the queues of one job framework,
// or of one Redis type, lie in Redis, and how they are read.
//
// A [Layout] describes itself (names, parameters, what its numbers mean) and prepares a
// [Reader] for each query. A reader has the commands that each reading begins with, and one
// function that reads from top to bottom: it takes the replies, may ask further, and returns a
// reading or an error. It never talks to a server: the engine sends what all queues ask in one
// pipeline for each server and round trip, as [RoundTrips] describes.
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
