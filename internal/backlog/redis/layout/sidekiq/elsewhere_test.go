package sidekiq_test

import (
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
)

// TestSidekiqElsewhere: a queue that does not exist is found under another namespace.
func TestSidekiqElsewhere(t *testing.T) {
	t.Parallel()
	layouttest.CheckElsewhere(t, layouttest.StartNamespaces(t), []layouttest.ElsewhereCase{
		{Query: layouttest.Query("sidekiq", "empty"), Hint: `there are mine; a queue of this name exists with the namespace "app:", "shop:"`, Not: "foreign"},
		{Query: layouttest.Query("sidekiq", "empty", "namespace", "app:"), Not: "exists with"},
		{Query: layouttest.Query("sidekiq", "empty", "namespace", "none"), Hint: `with the namespace "app:", "shop:"`, Not: "foreign"},
		{Query: layouttest.Query("sidekiq", "busy"), Hint: `a queue of this name exists with the namespace "shop:"`, Not: "app"},
	})
}
