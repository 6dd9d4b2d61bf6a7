// Package redis reads queues that lie in Redis or Valkey: lists, streams, sorted sets, sets
// and hashes, and the queues of job frameworks, on one server, behind Sentinel, or in a
// cluster.
//
// This package is the engine, its settings and the planner. A [source] reads many queries in
// as few round trips as their layouts take: in each round trip, all that all queries ask goes
// out as one pipeline per server. Below it are:
//
//   - resp: commands, replies, decoding, errors;
//   - conn, conn/node, conn/topology: connections, arming, and which server owns which key;
//   - keyscan: the search for keys in the background;
//   - layout and the packages below it: how a queue lies in Redis.
//
// # A read
//
//  1. Each query has a plan, made once: its first step and the keys that it depends on. The
//     [tracker] knows which plans a key belongs to.
//  2. The plan is armed, and the commands of its step are sent. See package node for why a
//     change cannot be missed from here on.
//  3. The replies give a reading, an error or a further step, which is sent in the next round
//     trip.
//  4. A reading without work that is news is read once more, as one transaction (recheck.go).
//  5. When a key of an armed plan changes, the tracker disarms the plan and wakes its query.
//
// # Locks
//
// tracker.planning comes before tracker.mu; the lock of [wakes.Queue] is a leaf. The lock of
// [keyscan.Scanner] comes before that of [wakes.Queue]. None is held over I/O.
package redis
