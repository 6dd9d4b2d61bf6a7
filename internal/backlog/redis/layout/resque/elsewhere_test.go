package resque_test

import (
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// TestResqueElsewhere: a queue that does not exist is found under another namespace.
func TestResqueElsewhere(t *testing.T) {
	t.Parallel()
	server := layouttest.StartNamespaces(t)
	layouttest.CheckElsewhere(t, server, []layouttest.ElsewhereCase{
		{Query: layouttest.Query("resque", "empty"), Hint: `there are mine; a queue of this name exists with the namespace "app", "shop"`, Not: "foreign"},
		{Query: layouttest.Query("resque", "busy"), Hint: `a queue of this name exists with the namespace "shop"`, Not: "app"},
		{Query: layouttest.Query("resque", "bu*"), Hint: `a queue of this name exists with the namespace "shop"`, Not: "app"},
		{Query: layouttest.Query("resque", "empty", "namespace", "shop"), Not: "exists with"},
	})
	// One that may not be read is left out.
	bound := layouttest.OpenServer(t, server, layouttest.User(redistest.Version{}, server, "%R~resque:* %R~app:*", redis.ACLRules, redis.ACLFrameworkRules, redis.ACLResqueRules, redis.ACLPatternRules))
	redistest.Eventually(t, "one of two is found", func() bool {
		r := backlogtest.MustRead(t, bound, layouttest.Query("resque", "empty"))
		return r.Hint == `there are mine; a queue of this name exists with the namespace "app"`
	})
}
