package native

import (
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// Set is a Redis set whose members are messages.
func Set() layout.Layout {
	return layout.Layout{
		Layout: backlog.Layout{
			Name:     "set",
			Summary:  "A set whose members are messages (SADD and SPOP).",
			Queue:    "key of the set",
			Patterns: layout.FoundByScan("sets"),
			Ready:    "the number of members",
		},
		Discover: layout.KeysOfType("set"),
		Prepare:  func(q backlog.Query, _ layout.KeySearch) layout.Reader { return Cardinality("SCARD", 's', q.Queue) },
	}
}

// Hash is a Redis hash whose fields are messages.
func Hash() layout.Layout {
	return layout.Layout{
		Layout: backlog.Layout{
			Name:     "hash",
			Summary:  "A hash whose fields are messages (HSET and HDEL).",
			Queue:    "key of the hash",
			Patterns: layout.FoundByScan("hashes"),
			Ready:    "the number of fields",
		},
		Discover: layout.KeysOfType("hash"),
		Prepare:  func(q backlog.Query, _ layout.KeySearch) layout.Reader { return Cardinality("HLEN", 'h', q.Queue) },
	}
}

// A cardinality is the command that asks for the size of one key.
type cardinality struct{ command resp.Command }

// Cardinality returns the reader of the size of a key. name is the command, and keyType the
// letter of the key's type in notify-keyspace-events.
func Cardinality(name string, keyType byte, key string) layout.Reader {
	return &cardinality{resp.Command{Key: key, KeyType: keyType, Args: []any{name, key}}}
}

// Commands implements layout.Reader.
func (k *cardinality) Commands(dst []resp.Command, _ time.Time) []resp.Command {
	return append(dst, k.command)
}

// Read implements layout.Reader.
func (k *cardinality) Read(trips *layout.RoundTrips) (backlog.Reading, error) {
	c := trips.First()
	n := c.Count()
	// Redis has no empty sets and hashes: removing the last member deletes the key.
	return backlog.Reading{Ready: n, Missing: n == 0}, c.Err()
}
