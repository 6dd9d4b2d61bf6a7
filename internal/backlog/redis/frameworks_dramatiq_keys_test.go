package redis_test

import (
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis"
)

// TestDramatiqKeys: what Dramatiq leaves under another namespace, and what it reads as
// with the least rights.
func TestDramatiqKeys(t *testing.T) {
	t.Parallel()
	nothing := figures{InFlight: backlog.Exactly(0)}
	readKeys(t, layoutQuery("dramatiq", "mail"), map[string]keysCase{
		"a namespace that is in use": {keys: []string{"ZADD dramatiq:__heartbeats__ 1 w"}, missing: true, want: nothing},
		"another namespace": {
			keys: []string{"HSET shop:mail.msgs a {}", "RPUSH shop:mail a"}, missing: true, want: nothing,
			warning: []string{`namespace "dramatiq"`}, hint: []string{`namespace "shop"`},
		},
		"another namespace, where all messages are for later": {
			keys: []string{"HSET shop:mail.DQ.msgs a {}"}, missing: true, want: nothing,
			warning: []string{`namespace "dramatiq"`}, hint: []string{`a queue of this name exists with the namespace "shop"`},
		},
		"another namespace, where nothing waits": {
			keys: []string{"ZADD shop:__heartbeats__ 1 w"}, missing: true, want: nothing,
			warning: []string{`namespace "dramatiq"`}, hint: []string{`the framework is at work with the namespace "shop"`},
		},
		"messages of the dead-letter queue": {keys: []string{"HSET dramatiq:mail.XQ.msgs a {}", "ZADD dramatiq:mail.XQ 1 a", "ZADD dramatiq:__heartbeats__ 1 w"}, missing: true, want: nothing},
		"a pattern, next to a dead-letter queue": {
			keys:  []string{"HSET dramatiq:mail.msgs a {}", "RPUSH dramatiq:mail a", "HSET dramatiq:mail.XQ.msgs a {}", "ZADD dramatiq:mail.XQ 1 a"},
			query: layoutQuery("dramatiq", "*"), want: figures{Ready: 1, InFlight: backlog.Exactly(0)},
		},
		"with the least rights": {
			keys: []string{"HSET dramatiq:mail.msgs a {}"}, rules: "%R~dramatiq:mail* " + redis.ACLRules, want: figures{InFlight: backlog.Exactly(1)},
		},
		"nothing with the least rights": {rules: "%R~dramatiq:mail* " + redis.ACLRules, missing: true, want: nothing},
	})
}
