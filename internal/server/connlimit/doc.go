// Package connlimit limits what clients can take of a server by connections alone, before any
// handler or interceptor is called: [Port] how many connections they have, and [HalfOpen] the
// requests that have begun and not ended.
package connlimit
