package redis_test

import (
	"strings"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
)

// TestPythonParameters: parameters that do not go together.
func TestPythonParameters(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		query backlog.Query
		fault string // what the error names; "" if there is none
	}{
		"celery":                                {query: layouttest.Query("celery", "q")},
		"celery with steps":                     {query: layouttest.Query("celery", "q", "prioritySteps", "0, 5")},
		"celery with words as steps":            {query: layouttest.Query("celery", "q", "prioritySteps", "0,high"), fault: "prioritySteps"},
		"taskiq on a stream":                    {query: layouttest.Query("taskiq", "q", "broker", "stream", "consumerGroup", "g")},
		"taskiq on a stream with a bound":       {query: layouttest.Query("taskiq", "q", "broker", "stream", "orphanedAfter", "1h")},
		"taskiq on a list with a bound":         {query: layouttest.Query("taskiq", "q", "broker", "list", "orphanedAfter", "1h"), fault: "orphanedAfter"},
		"a stream without a group with a bound": {query: layouttest.Query("stream", "q", "orphanedAfter", "1h"), fault: "orphanedAfter"},
		"taskiq on a list with a group":         {query: layouttest.Query("taskiq", "q", "broker", "list", "consumerGroup", "g"), fault: "consumerGroup"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			layout, found := redis.Engine().Layout(row.query.Layout)
			if !found {
				t.Fatal("there is no such layout")
			}
			err := layout.Check(row.query)
			if (err != nil) != (row.fault != "") || err != nil && !strings.Contains(err.Error(), row.fault) {
				t.Errorf("the error is %v, want one about %q", err, row.fault)
			}
		})
	}
}
