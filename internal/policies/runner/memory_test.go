package runner_test

import (
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/policies"
	"github.com/backlog-scaler/backlog-scaler/internal/policy"
)

// What is remembered for a hold stays when an author changes the policy.
func TestKeepsItsMemoryWhenThePolicyChanges(t *testing.T) {
	withBench(t, func(b *bench) {
		hold := func(p *policies.Policy) { p.Spec.Down = &policy.StepDown{Hold: 5 * time.Minute} }
		b.fake.SetReady("orders", 100)
		b.set(hold)
		b.target(20)
		b.want("before", 20)
		b.fake.SetReady("orders", 0)
		time.Sleep(time.Minute)
		b.want("held", 20)
		b.set(hold, func(p *policies.Policy) { p.Generation, p.Spec.MaxReplicas = 2, 30 })
		b.want("held after the change", 20)
		time.Sleep(5 * time.Minute)
		b.want("the hold is over", 0)
	})
}

func TestLearnsTheThroughput(t *testing.T) {
	withBench(t, func(b *bench) {
		learned := func(p *policies.Policy) {
			p.Signals[0].Trigger = map[string]string{
				"queue": "orders", "drainTime": "60s", "throughput": "learned", "throughputFloor": "0.5", "throughputCeiling": "10",
			}
		}
		const perSecond, waiting = 4, 1200
		done := int64(0)
		step := func() {
			b.fake.Set("orders", backlog.Reading{Ready: waiting, Enqueued: backlog.Exactly(done + waiting), Dequeued: backlog.Exactly(done), InFlight: backlog.Exactly(0)})
		}
		step()
		b.set(learned)
		b.target(2)
		b.want("nothing is learned: the floor, 30 messages for a replica in 60 s", 40)
		for range 120 {
			time.Sleep(time.Second)
			done += 2 * perSecond
			step()
		}
		time.Sleep(time.Second)
		outcome := b.outcome()
		// 1,200 waiting and 8 arriving in a second, within 60 s, by replicas that finish 4: these are
		// 7, and one more if the reads of a second saw more arrivals.
		if want := int32((waiting + 8*60) / (60 * perSecond)); outcome.Replicas != want && outcome.Replicas != want+1 {
			b.Errorf("%d replicas, error %v; want %d", outcome.Replicas, outcome.Err, want)
		}
		b.set(learned, func(p *policies.Policy) { p.Generation, p.Spec.MaxReplicas = 2, 39 })
		b.want("another field has changed", outcome.Replicas)
		b.set(learned, func(p *policies.Policy) { p.Signals[0].Trigger["throughputFloor"] = "0.4" })
		b.want("other bounds: nothing is learned of them", 40)
	})
}

// TestHoldsNoMoreThanTheMaximum: a maximum that was lowered after a jump counts at once.
func TestHoldsNoMoreThanTheMaximum(t *testing.T) {
	withBench(t, func(b *bench) {
		b.fake.SetReady("orders", 200)
		b.set()
		b.runner.SetTarget("shop", "billing", policies.Target{Target: policy.Target{Replicas: 40}, HeldUntil: time.Now().Add(time.Minute)})
		b.want("held", 40)
		b.set(func(p *policies.Policy) { p.Spec.MaxReplicas = 30 })
		b.want("the maximum is 30 now", 30)
	})
}
