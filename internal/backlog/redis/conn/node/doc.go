// Package node is one Redis or Valkey server: it reconnects, runs commands, and notices which
// keys change.
//
// A [Node] has up to three connections to its server:
//
//   - the session, on which all reads go, as one pipeline each;
//   - the subscriber, on which the server reports changed keys: those that the session has
//     read (client tracking), or those of keyspace notifications;
//   - the scan connection, on which keys are searched. It is open only while there is
//     something to search, so that a slow page of SCAN delays no read.
//
// # Arming
//
// A reply is Armed if the next change of its key will be reported. The order is what makes
// that true:
//
//  1. The subscriber connects, and the session switches tracking on with a redirect to it.
//  2. A read runs on the session. The server remembers its keys.
//  3. The reply is marked as armed if the subscriber is still alive after the read, and both
//     connections lead to the same run of the server.
//  4. When a key changes, the server sends an invalidation to the subscriber, once.
//  5. When the subscriber ends, it is detached first, so that no later read counts as armed,
//     and then everything is invalidated. When the session ends, everything is invalidated.
//
// # Locks
//
// Node.semaphore is held over I/O, by the one that uses the session. Node.mu and
// subscriber.mu are leaves: they are held for a few assignments, may be taken while the
// semaphore is held, and nothing is locked under them.
package node
