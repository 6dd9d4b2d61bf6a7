// Package redis reads queues that lie in Redis or Valkey: lists, streams, sorted
// sets, sets and hashes, on one server, behind Sentinel, or in a cluster.
//
// # One connection reads, one listens
//
// A [source] holds one node for each server that owns keys. A node has a session,
// the one connection through which all reads go as one pipeline, and a listener,
// one connection on which the server tells that a key has changed. Sentinel and
// Cluster add one connection on which the topology is asked for. So a server sees
// at most three connections of one scaler, however many queues are read.
//
// # Wake-ups
//
// Client tracking is best: the count that a read asks for arms the key by itself,
// and the next change of the key is told once. Where a server refuses tracking,
// keyspace notifications are used if the server has them switched on, and else the
// reader polls. A Result is Armed only if the key was armed on the very connection
// that served the read, and a listener was alive that would hear of it. Whenever
// that can no longer be said (either connection is lost, the topology changed, the
// keys were flushed), Everything is woken.
package redis
