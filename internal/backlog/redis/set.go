package redis

import (
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// setLayout is a Redis set whose members are messages.
func setLayout() layout {
	return layout{
		Layout: backlog.Layout{
			Name:     "set",
			Summary:  "A set whose members are messages (SADD and SPOP).",
			Queue:    "key of the set",
			Patterns: scanned("sets"),
			Ready:    "the number of members",
		},
		discover: named("set"),
		prepare:  func(q backlog.Query, _ keySearch) step { return newCardinality("SCARD", 's', q.Queue) },
	}
}

// hashLayout is a Redis hash whose fields are messages.
func hashLayout() layout {
	return layout{
		Layout: backlog.Layout{
			Name:     "hash",
			Summary:  "A hash whose fields are messages (HSET and HDEL).",
			Queue:    "key of the hash",
			Patterns: scanned("hashes"),
			Ready:    "the number of fields",
		},
		discover: named("hash"),
		prepare:  func(q backlog.Query, _ keySearch) step { return newCardinality("HLEN", 'h', q.Queue) },
	}
}

// A cardinality is a step that asks for the size of one key.
type cardinality struct{ ask resp.Command }

// newCardinality returns a step that asks for the size of a key. name is the command, and
// keyType the letter of the key's type in notify-keyspace-events.
func newCardinality(name string, keyType byte, key string) step {
	return &cardinality{resp.Command{Key: key, KeyType: keyType, Args: []any{name, key}}}
}

func (c *cardinality) commands(dst []resp.Command, _ time.Time) []resp.Command {
	return append(dst, c.ask)
}

func (c *cardinality) outcome(replies []resp.Reply, _ time.Time) outcome {
	n, err := replies[0].Count()
	if err != nil {
		return fail(err)
	}
	// Redis has no empty sets and hashes: removing the last member deletes the key.
	return done(backlog.Reading{Ready: n, Missing: n == 0})
}
