package dramatiq_test

import (
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
)

// TestDramatiqKeys: what Dramatiq leaves under another namespace, and what it reads as
// with the least rights.
func TestDramatiqKeys(t *testing.T) {
	t.Parallel()
	nothing := layouttest.Figures{InFlight: backlog.Exactly(0)}
	layouttest.ReadKeys(t, layouttest.Query("dramatiq", "mail"), map[string]layouttest.KeysCase{
		"a namespace that is in use": {Keys: []string{"ZADD dramatiq:__heartbeats__ 1 w"}, Missing: true, Want: nothing},
		"another namespace": {
			Keys: []string{"HSET shop:mail.msgs a {}", "RPUSH shop:mail a"}, Missing: true, Want: nothing,
			Warning: []string{`namespace "dramatiq"`}, Hint: []string{`namespace "shop"`},
		},
		"another namespace, where all messages are for later": {
			Keys: []string{"HSET shop:mail.DQ.msgs a {}"}, Missing: true, Want: nothing,
			Warning: []string{`namespace "dramatiq"`}, Hint: []string{`a queue of this name exists with the namespace "shop"`},
		},
		"another namespace, where nothing waits": {
			Keys: []string{"ZADD shop:__heartbeats__ 1 w"}, Missing: true, Want: nothing,
			Warning: []string{`namespace "dramatiq"`}, Hint: []string{`the framework is at work with the namespace "shop"`},
		},
		"messages of the dead-letter queue": {Keys: []string{"HSET dramatiq:mail.XQ.msgs a {}", "ZADD dramatiq:mail.XQ 1 a", "ZADD dramatiq:__heartbeats__ 1 w"}, Missing: true, Want: nothing},
		"a pattern, next to a dead-letter queue": {
			Keys:  []string{"HSET dramatiq:mail.msgs a {}", "RPUSH dramatiq:mail a", "HSET dramatiq:mail.XQ.msgs a {}", "ZADD dramatiq:mail.XQ 1 a"},
			Query: layouttest.Query("dramatiq", "*"), Want: layouttest.Figures{Ready: 1, InFlight: backlog.Exactly(0)},
		},
		"with the least rights": {
			Keys: []string{"HSET dramatiq:mail.msgs a {}"}, Rules: "%R~dramatiq:mail* " + redis.ACLRules, Want: layouttest.Figures{InFlight: backlog.Exactly(1)},
		},
		"nothing with the least rights": {Rules: "%R~dramatiq:mail* " + redis.ACLRules, Missing: true, Want: nothing},
	})
}
