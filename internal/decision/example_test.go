package decision_test

import (
	"errors"
	"fmt"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/decision"
)

// 23 messages wait and 4 are in flight. The engine allows 5 workers.
func ExampleDecide() {
	now := time.Date(2026, time.November, 1, 12, 0, 0, 0, time.UTC)
	reading := backlog.Reading{At: now, Ready: 23, InFlight: backlog.Exactly(4), MaxUseful: 5}
	d, err := decision.Decide(&decision.Spec{Target: 5, MaxStaleness: 30 * time.Second}, &backlog.Observation{Latest: reading}, 0, now)
	if err != nil {
		fmt.Println(err)
	}
	fmt.Printf("value %v, target %v, active %t\n", d.Value, d.Target, d.Active)
	for _, step := range d.Steps {
		fmt.Printf("%s: %v -> %v\n", step.Reason, step.Before, step.After)
	}
	// Output:
	// value 25, target 5, active true
	// workerLimit: 27 -> 25
}

// A queue that was never read is unknown, and not empty.
func ExampleDecide_unknown() {
	seen := backlog.Observation{Err: errors.New("connection refused")}
	_, err := decision.Decide(&decision.Spec{Target: 5, MaxStaleness: 30 * time.Second}, &seen, 0, time.Now())
	fmt.Println(err)
	fmt.Println(errors.Is(err, decision.ErrUnknown))
	// Output:
	// backlog unknown: never read: connection refused
	// true
}

func ExampleParseCounts() {
	counts, err := decision.ParseCounts([]string{"ready", "inFlight"})
	fmt.Println(counts, err)
	// Output: ready,inFlight <nil>
}
