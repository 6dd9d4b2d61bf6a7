package policy_test

import (
	"fmt"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/policy"
	"github.com/backlog-scaler/backlog-scaler/internal/schedule"
)

// 90 messages need 5 replicas, and office hours have a floor of 8. 4 are current, and a step
// adds 2.
func ExamplePolicy_Decide() {
	floor := int32(8)
	p, err := policy.New(policy.Spec{
		MaxReplicas: 100,
		Signals:     []policy.Signal{{Name: "backlog", Target: 20, MaxStaleness: time.Minute}},
		Schedules:   []schedule.Spec{{Name: "office", TimeZone: "Europe/Berlin", Start: "0 7 * * 1-5", End: "0 20 * * 1-5", Floor: &floor}},
		Up:          &policy.StepUp{Pods: 2, Period: 30 * time.Second, ReadyPercent: 100},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	now := time.Date(2026, time.November, 24, 12, 0, 0, 0, time.UTC)
	d, err := p.Decide(policy.Input{
		Signals: map[string]policy.Observation{"backlog": {Value: 90, At: now}},
		Target:  policy.Target{Replicas: 4, Available: 4},
	}, now)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%d replicas, %d wanted, because of %s\n", d.Replicas, d.Wanted, d.Why())
	for _, step := range d.Steps {
		fmt.Printf("%s %s: %d -> %d\n", step.Reason, step.Name, step.Before, step.After)
	}
	// Output:
	// 6 replicas, 8 wanted, because of stepUp
	// need backlog: 0 -> 5
	// floor office: 5 -> 8
	// stepUp : 8 -> 6
}

// What one replica finishes is learned from what all of them finish while jobs wait.
func ExampleThroughput() {
	learned, err := policy.NewThroughput(0.1, 10)
	if err != nil {
		fmt.Println(err)
		return
	}
	now := time.Date(2026, time.November, 24, 12, 0, 0, 0, time.UTC)
	learned = learned.Add(policy.Sample{At: now, Done: 0, Available: 4, Waiting: true})
	fmt.Println("known:", learned.Estimate().Known)
	learned = learned.Add(policy.Sample{At: now.Add(time.Minute), Done: 480, Available: 4, Waiting: true})
	fmt.Println("jobs per second:", learned.Estimate().PerSecond)
	// Output:
	// known: false
	// jobs per second: 2
}
