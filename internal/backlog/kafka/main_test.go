package kafka_test

import (
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
)

func TestMain(m *testing.M) { backlogtest.Main(m) }
