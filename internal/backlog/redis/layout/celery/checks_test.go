package celery_test

import (
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
)

// TestChecks: parameters that do not go together are refused.
func TestChecks(t *testing.T) {
	t.Parallel()
	layouttest.CheckParameters(t, map[string]layouttest.ParametersCase{
		"alone":      {Query: layouttest.Query("celery", "q")},
		"with steps": {Query: layouttest.Query("celery", "q", "prioritySteps", "0, 5")},
		"with words as steps": {
			Query: layouttest.Query("celery", "q", "prioritySteps", "0,high"), Fault: "prioritySteps",
		},
	})
}
