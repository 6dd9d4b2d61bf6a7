package dramatiq_test

import (
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
)

// TestDramatiqBounds: processes are looked at up to a limit, and beyond it a reading is no zero.
func TestDramatiqBounds(t *testing.T) {
	t.Parallel()
	layouttest.ReadKeys(t, layouttest.Query("dramatiq", "mail"), map[string]layouttest.KeysCase{
		"processes": {
			Keys: []string{layouttest.AddRecent("dramatiq:__heartbeats__", 300), "HSET dramatiq:mail.msgs a {}"},
			Want: layouttest.Figures{InFlight: backlog.Exactly(1)},
		},
	})
}
