// Package conn is one connection to one Redis or Valkey server: dialling, TLS, login, pipelines
// and subscriptions.
//
// On a [Session] commands are run, on a [Subscription] the server publishes messages. The
// package bounds what a server may send, notices at once when a connection ends, and finds out
// what an address speaks at which a handshake fails. It is the only one that imports go-redis.
//
// A connection never reconnects. What does is package node.
package conn
