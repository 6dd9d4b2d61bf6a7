// Package topology finds out which server owns which key: the one server, the master that
// sentinels name, or a master of a cluster.
//
// It owns a [node.Node] for each server.
//
// A server alone may have been removed, or be cut off from the others, and say what was true
// in the past. So several are asked where the servers are, each over a connection of its own,
// and their views are compared. If those that answer reach less than half of the others,
// nothing is read: an old master that answers zero is not a reading.
//
// # Locks
//
// Topology.semaphore is held over I/O by the one that asks for the slot map. provisional.mu is
// a leaf, except that a node is created under it, which does no I/O.
package topology
