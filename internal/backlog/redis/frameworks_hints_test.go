package redis_test

import (
	"strings"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// TestRubyQueuesElsewhere: a queue that does not exist is found under another namespace,
// also while it is empty; the warning names no namespace.
func TestRubyQueuesElsewhere(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	source := layouttest.OpenServer(t, server, nil)
	for _, command := range []string{
		"SADD app:queues empty", "SADD shop:queues empty other", "SADD foreign:queues other",
		`RPUSH shop:queue:busy {"class":"Job"}`, "SADD resque:queues mine", "SADD queues mine",
	} {
		server.Do(layouttest.Words(command)...)
	}
	for _, c := range []struct {
		query      backlog.Query
		names, not string
	}{
		{layouttest.Query("sidekiq", "empty"), `there are mine; a queue of this name exists with the namespace "app:", "shop:"`, "foreign"},
		{layouttest.Query("sidekiq", "empty", "namespace", "app:"), "", "exists with"},
		{layouttest.Query("sidekiq", "empty", "namespace", "none"), `with the namespace "app:", "shop:"`, "foreign"},
		{layouttest.Query("sidekiq", "busy"), `a queue of this name exists with the namespace "shop:"`, "app"},
		{layouttest.Query("resque", "empty"), `there are mine; a queue of this name exists with the namespace "app", "shop"`, "foreign"},
		{layouttest.Query("resque", "busy"), `a queue of this name exists with the namespace "shop"`, "app"},
		{layouttest.Query("resque", "bu*"), `a queue of this name exists with the namespace "shop"`, "app"},
		{layouttest.Query("resque", "empty", "namespace", "shop"), "", "exists with"},
	} {
		var r backlog.Reading
		redistest.Eventually(t, c.query.Queue+" is found", func() bool {
			r = backlogtest.MustRead(t, source, c.query)
			return strings.Contains(r.Hint, c.names)
		})
		if strings.Contains(r.Hint, c.not) || strings.Contains(r.Warning, "namespace") || strings.Count(r.Hint, "exists with") > 1 {
			t.Errorf("%s %s: hint %q, warning %q", c.query.Layout, c.query.Queue, r.Hint, r.Warning)
		}
	}
	// One that may not be read is left out.
	bound := layouttest.OpenServer(t, server, layouttest.User(redistest.Version{}, server, "%R~resque:* %R~app:*", redis.ACLRules, redis.ACLFrameworkRules, redis.ACLResqueRules, redis.ACLPatternRules))
	redistest.Eventually(t, "one of two is found", func() bool {
		r := backlogtest.MustRead(t, bound, layouttest.Query("resque", "empty"))
		return r.Hint == `there are mine; a queue of this name exists with the namespace "app"`
	})
}
