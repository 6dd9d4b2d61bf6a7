package native_test

import (
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
)

func TestMain(m *testing.M) { layouttest.Main(m) }
