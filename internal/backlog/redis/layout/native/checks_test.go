package native

import (
	"errors"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
)

// TestChecks: parameters that do not go together are refused.
func TestChecks(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		layout string
		params map[string]string
		want   error
	}{
		"stream of a group":        {"stream", map[string]string{"consumerGroup": "g", "groupStart": "last", "scan": "10"}, nil},
		"stream":                   {"stream", map[string]string{"groupStart": "first", "scan": "0"}, nil},
		"start without group":      {"stream", map[string]string{"groupStart": "last"}, errNeedsGroup},
		"scan without group":       {"stream", map[string]string{"scan": "10"}, errNeedsGroup},
		"bound without group":      {"stream", map[string]string{"orphanedAfter": "1h"}, errNeedsGroup},
		"scale":                    {"sortedSet", map[string]string{"scoreScale": "4096000", "score": "seconds"}, nil},
		"scale of nothing":         {"sortedSet", map[string]string{"scoreScale": "0"}, errScale},
		"negative scale":           {"sortedSet", map[string]string{"scoreScale": "-1"}, errScale},
		"scale of what is no time": {"sortedSet", map[string]string{"scoreScale": "2", "score": "none"}, errScaleOfNone},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := map[string]layout.Layout{"stream": Stream(), "sortedSet": SortedSet()}
			err := all[c.layout].Check(backlog.Query{Layout: c.layout, Queue: "q", Params: backlog.NewParams(c.params)})
			if !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
}
