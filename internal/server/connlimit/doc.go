// Package connlimit limits what clients can take of a server by connections alone. Its limits
// act before any handler or interceptor is called: [Port] counts connections, and [HalfOpen] the
// requests that have begun and not ended.
package connlimit
