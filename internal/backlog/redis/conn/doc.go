// Package conn is one connection to one Redis or Valkey server: dialling, TLS and login, a
// [Session] on which commands are run in pipelines, and a [Subscription] on which the server
// publishes messages. It bounds what a server may send, notices at once when a connection
// ends, and finds out what an address speaks at which a handshake fails.
//
// A connection never reconnects. What does is package node.
package conn
