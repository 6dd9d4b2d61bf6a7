// Package native reads queues that are one key of a Redis type: lists, streams, sorted sets,
// sets and hashes.
package native
