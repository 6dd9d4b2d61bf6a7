package runner_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/policies"
	"github.com/backlog-scaler/backlog-scaler/internal/policy"
)

// explain returns the explanation of the policy billing.
func (b *bench) explain() policies.Explanation {
	b.Helper()
	x, ok := b.runner.Explain(billing)
	if !ok {
		b.Fatal("no explanation")
	}
	return x
}

func TestExplains(t *testing.T) {
	withBench(t, func(b *bench) {
		if _, ok := b.runner.Explain(billing); ok {
			b.Error("an explanation of a policy that does not exist")
		}
		b.fake.SetReady("orders", 23)
		b.set(func(p *policies.Policy) { p.Spec.Up = &policy.StepUp{Pods: 1, ReadyPercent: 100} })
		x := b.explain()
		if !x.Decided || x.TargetKnown || x.Read() || x.Outcome.Err == nil || x.Pending != (policy.Pending{}) {
			b.Errorf("before the workload is read: %+v", x.Status)
		}
		b.runner.SetTarget("shop", "billing", policies.Target{Target: policy.Target{Replicas: 2, Available: 1}})
		b.want("one of two is available", 2)
		x = b.explain()
		if !x.Read() || x.Target.Available != 1 || x.Pending.Required != 2 || x.Pending.Waiting.IsZero() {
			b.Errorf("with a workload: %+v, pending %+v", x.Status, x.Pending)
		}
		s := x.Signals[0]
		if s.Name != "orders" || s.Err != nil || s.Decision.Value != 23 || s.Decision.Target != 5 || s.Learned != nil || !s.Observation.Known() {
			b.Errorf("signal %+v", s)
		}
		if s.Trigger.Connection != "main" || s.Trigger.Query.Queue != "orders" || s.Trigger.Policy.MaxStaleness != 2*time.Minute {
			b.Errorf("trigger %+v", s.Trigger)
		}
		b.runner.Remove("shop", "billing")
		if _, ok := b.runner.Explain(billing); ok {
			b.Error("an explanation of a policy that was removed")
		}
	})
}

func TestExplainsUnknownSignals(t *testing.T) {
	withBench(t, func(b *bench) {
		b.fake.Fail(backlog.ErrUnavailable)
		b.set()
		b.target(4)
		if s := b.explain().Signals[0]; !errors.Is(s.Err, backlog.ErrUnavailable) || s.Observation.Known() {
			b.Errorf("never read: %+v", s)
		}
		b.fake.Fail(nil)
		b.fake.SetReady("orders", 20)
		time.Sleep(time.Minute)
		b.fake.Fail(backlog.ErrUnavailable)
		time.Sleep(time.Hour)
		if s := b.explain().Signals[0]; s.Err != nil || s.Decision.Value != 20 || !errors.Is(s.Observation.Err, backlog.ErrUnavailable) {
			b.Errorf("the last reading, whatever its age: %+v", s)
		}
		if err := b.sampler.Apply(b.Context(), connections()[1:]); err != nil {
			b.Fatal(err)
		}
		if s := b.explain().Signals[0]; s.Err == nil || !strings.Contains(s.Err.Error(), "removed") {
			b.Errorf("the connection was removed: %+v", s)
		}
	})
}

func TestExplainsMistakes(t *testing.T) {
	withBench(t, func(b *bench) {
		b.set(func(p *policies.Policy) { p.Signals[0].Trigger["tagret"] = "5" })
		b.target(4)
		x := b.explain()
		if len(x.Outcome.Problems) != 1 || len(x.Signals) != 0 || x.Read() {
			b.Errorf("explanation %+v", x)
		}
	})
}

func TestExplainsALearnedThroughput(t *testing.T) {
	withBench(t, func(b *bench) {
		b.fake.Set("orders", backlog.Reading{Ready: 600, Enqueued: backlog.Exactly(600), Dequeued: backlog.Exactly(0), InFlight: backlog.Exactly(0)})
		b.set(func(p *policies.Policy) {
			p.Signals[0].Trigger = map[string]string{
				"queue": "orders", "drainTime": "60s", "throughput": "learned", "throughputFloor": "0.5", "throughputCeiling": "10",
			}
		})
		b.target(2)
		learned := b.explain().Signals[0].Learned
		if learned == nil || learned.Used != 0.5 || learned.Known || learned.Bounds.Ceiling != 10 {
			b.Fatalf("nothing is learned: %+v", learned)
		}
		for done := range int64(120) {
			time.Sleep(time.Second)
			b.fake.Set("orders", backlog.Reading{
				Ready: 600, Enqueued: backlog.Exactly(8*done + 600), Dequeued: backlog.Exactly(8 * done), InFlight: backlog.Exactly(0),
			})
		}
		s := b.explain().Signals[0]
		if s.Learned == nil || !s.Learned.Known || math.Abs(s.Learned.Used-4) > 0.5 || s.Learned.Confidence < 0.9 {
			b.Errorf("4 messages a second are learned: %+v", s.Learned)
		}
		if drain := s.Decision.Drain; s.Learned != nil && math.Abs(drain.Throughput-s.Learned.Used) > 0.01 {
			b.Errorf("the decision uses %v, learned %v", drain.Throughput, s.Learned.Used)
		}
	})
}

func TestListsPolicies(t *testing.T) {
	withBench(t, func(b *bench) {
		b.fake.SetReady("orders", 23)
		want := []policies.Key{{Namespace: "bank", Name: "ledger"}, {Namespace: "shop", Name: "billing"}, {Namespace: "shop", Name: "mails"}}
		for _, key := range slices.Backward(want) {
			b.set(func(p *policies.Policy) { p.Key = key })
		}
		if diff := cmp.Diff(want, b.runner.Keys()); diff != "" {
			b.Errorf("keys (-want +got):\n%s", diff)
		}
		b.target(2)
		if s, ok := b.runner.Status(billing); !ok || !s.Read() || s.Policy.Key != billing || s.Outcome.Replicas == 0 {
			b.Errorf("status %+v", s)
		}
		if _, ok := b.runner.Status(policies.Key{Namespace: "shop", Name: "other"}); ok {
			b.Error("the status of a policy that does not exist")
		}
	})
}
