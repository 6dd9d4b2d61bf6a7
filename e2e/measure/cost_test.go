package measure

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/e2e/redisserver"
)

func TestSince(t *testing.T) {
	t.Parallel()
	began := time.Unix(1, 0)
	before := cost{
		at: began, redis: redisserver.Cost{Commands: 100, CPU: time.Second}, operator: time.Second, operatorMemory: 8e6,
	}
	after := cost{
		at: began.Add(10 * time.Second), redis: redisserver.Cost{Commands: 301, CPU: 2 * time.Second}, operator: 3 * time.Second, operatorMemory: 5e6,
		adapter: 4 * time.Second, controllers: 100 * time.Millisecond,
	}
	// The cost itself was one of the 201 commands.
	want := []float64{20, 100, 200, 5, 400, 10}
	if diff := cmp.Diff(want, after.since(before)); diff != "" {
		t.Errorf("since (-want +got):\n%s", diff)
	}
}
