package hpa_test

import (
	"fmt"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/hpa"
)

// 3 replicas and a backlog that asks for 40: without a behavior, each sync at most doubles the
// replicas.
func ExampleAutoscaler_Sync() {
	now := time.Date(2026, time.November, 1, 12, 0, 0, 0, time.UTC)
	autoscaler := hpa.New(hpa.Spec{Min: 1, Max: 50})
	metric := hpa.Metric{Name: "orders", Value: hpa.Thousandths(200), Target: hpa.Thousandths(5)}
	replicas := int32(3)
	for range 4 {
		r := autoscaler.Sync(now, hpa.Steady(replicas), []hpa.Metric{metric})
		fmt.Printf("%d of %d: %s\n", r.Replicas, r.Wanted, r.Reason)
		replicas, now = r.Replicas, now.Add(hpa.SyncPeriod)
	}
	// Output:
	// 6 of 40: limited scale-up rate
	// 12 of 40: limited scale-up rate
	// 24 of 40: limited scale-up rate
	// 40 of 40: as the metrics want
}

// A push activates the workload at once. After the last one KEDA waits for the cooldown.
func ExampleActivation() {
	now := time.Date(2026, time.November, 1, 12, 0, 0, 0, time.UTC)
	activation := hpa.NewActivation(hpa.ScaledObject{Max: 10, Cooldown: time.Minute, Created: now})
	step := activation.Push(now, 0, true)
	fmt.Println(step.Replicas, step.Reason)
	step = activation.Poll(now.Add(30*time.Second), 1, false, false)
	fmt.Println(step.Replicas, step.Reason)
	step = activation.Poll(now.Add(2*time.Minute), 1, false, false)
	fmt.Println(step.Replicas, step.Reason)
	// Output:
	// 1 activated
	// 1 cooling down
	// 0 deactivated
}

func ExampleThousandths() {
	fmt.Println(hpa.Thousandths(2.5), hpa.Thousandths(0.0004), hpa.Thousandths(-1))
	// Output: 2500 0 0
}
