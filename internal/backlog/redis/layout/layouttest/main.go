package layouttest

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
)

// Main is backlogtest.Main for tests that start Redis.
func Main(m *testing.M) {
	backlogtest.Main(m,
		// A client of the tests themselves that was dialling when its server was killed.
		goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"),
	)
}
