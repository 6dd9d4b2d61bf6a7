package taskiq_test

import (
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
)

// TestChecks: parameters that do not go together are refused.
func TestChecks(t *testing.T) {
	t.Parallel()
	layouttest.CheckParameters(t, map[string]layouttest.ParametersCase{
		"on a stream":              {Query: layouttest.Query("taskiq", "q", "broker", "stream", "consumerGroup", "g")},
		"on a stream with a bound": {Query: layouttest.Query("taskiq", "q", "broker", "stream", "orphanedAfter", "1h")},
		"on a list with a bound":   {Query: layouttest.Query("taskiq", "q", "broker", "list", "orphanedAfter", "1h"), Fault: "orphanedAfter"},
		"on a list with a group":   {Query: layouttest.Query("taskiq", "q", "broker", "list", "consumerGroup", "g"), Fault: "consumerGroup"},
	})
}
