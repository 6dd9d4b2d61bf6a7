package native_test

import (
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
)

// TestWorkers: a consumer is busy while it has entries that it has not acknowledged.
func TestWorkers(t *testing.T) {
	t.Parallel()
	served := []string{
		"XGROUP CREATE orders workers 0 MKSTREAM", "XADD orders * a 1", "XADD orders * a 2",
		"XREADGROUP GROUP workers web-1 COUNT 1 STREAMS orders >", "XREADGROUP GROUP workers web-2 COUNT 1 STREAMS orders >",
	}
	layouttest.CheckWorkers(t, layouttest.Query("stream", "orders", "consumerGroup", "workers"), map[string]layouttest.WorkersCase{
		"no stream":   {Want: map[string]bool{}},
		"no group":    {Keys: []string{"XADD orders * a 1"}, Want: map[string]bool{}},
		"no consumer": {Keys: served[:2], Want: map[string]bool{}},
		"both busy":   {Keys: served, Want: map[string]bool{"web-1": true, "web-2": true}},
		"one idle": {
			Keys: append(served[:5:5], "XAUTOCLAIM orders workers web-1 0 0"),
			Want: map[string]bool{"web-1": true, "web-2": false},
		},
		"several streams": {
			Query: layouttest.Query("stream", "orders,mails", "consumerGroup", "workers"),
			Keys:  append(served[:5:5], "XGROUP CREATE mails workers 0 MKSTREAM", "XADD mails * a 1", "XREADGROUP GROUP workers web-3 COUNT 1 STREAMS mails >"),
			Want:  map[string]bool{"web-1": true, "web-2": true, "web-3": true},
		},
		"another type": {Keys: []string{"SET orders text"}, Err: backlog.ErrMismatch},
		"no group in the query": {
			Query: layouttest.Query("stream", "orders"), Err: backlog.ErrMismatch,
		},
		"a layout that does not know": {Query: layouttest.Query("list", "orders"), Err: backlog.ErrMismatch},
	})
}
