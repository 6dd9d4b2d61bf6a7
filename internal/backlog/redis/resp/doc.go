// Package resp is the vocabulary of Redis: commands, replies, their decoding, and what their
// errors mean. It is pure: it knows no network and no client library.
//
// The protocol is RESP2: a value is a string, an int64, an array ([]any) of values, or null.
// https://redis.io/docs/latest/develop/reference/protocol-spec/
package resp
