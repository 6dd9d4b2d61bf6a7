// Package keyscan searches the keys of servers by SCAN, in the background.
//
// It searches for the queues that match a pattern and are in no registry, for keys whose names
// a query does not determine, and for hints about queues that do not exist.
//
// It never works on the way of a read, because it takes as long as there are keys, and it has
// connections of its own ([node.Node.Scan]). All searches that are due go through the keys
// together, so that how many one namespace has does not decide when another's is answered. A
// search that is new does not wait for a sweep that is under way: it begins one of its own.
package keyscan
