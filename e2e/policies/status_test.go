package policies_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/backlog-scaler/backlog-scaler/api/v1alpha1"
	"github.com/backlog-scaler/backlog-scaler/internal/policies"
	"github.com/backlog-scaler/backlog-scaler/internal/policy"
	"github.com/backlog-scaler/backlog-scaler/internal/schedule"
)

// version returns the resource version of the policy "billing", which changes with each write.
func (w *world) version(t *testing.T) string {
	t.Helper()
	var p v1alpha1.AutoscalerPolicy
	check(t, w.client.Get(t.Context(), client.ObjectKey{Namespace: w.namespace, Name: "billing"}, &p))
	return p.ResourceVersion
}

// TestStatusIsWrittenOnChange: numbers alone are written every 30 s, a reason at once, and nothing without a change.
func TestStatusIsWrittenOnChange(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deployment(t, "billing", 1)
	w.policy(t, "billing", func(s *v1alpha1.AutoscalerPolicySpec) { s.Mode = v1alpha1.Observe })
	w.runner.want(w.key("billing"), 2)
	decided := func(replicas int32) func() bool {
		return func() bool { return w.status(t, "billing").Replicas.Decided == replicas }
	}
	w.reconcile(t, "billing", "the first status", decided(2))
	w.clock.advance(time.Hour)
	w.settle(t, "billing")
	before := w.version(t)
	w.clock.advance(time.Hour)
	w.settle(t, "billing")
	if got := w.version(t); got != before {
		t.Error("the status was written without a change")
	}
	// The first change after a long time is written at once, the next one after 30 s.
	w.runner.want(w.key("billing"), 3)
	w.reconcile(t, "billing", "a change", decided(3))
	w.runner.want(w.key("billing"), 4)
	w.settle(t, "billing")
	if got := w.status(t, "billing").Replicas.Decided; got != 3 {
		t.Errorf("a number that changed is written at once: %d", got)
	}
	w.clock.advance(30 * time.Second)
	w.reconcile(t, "billing", "30 s later", decided(4))
	w.clock.advance(time.Second)
	w.runner.want(w.key("billing"), 5, policy.Step{Reason: policy.ReasonMaxReplicas, Before: 9, After: 5})
	w.reconcile(t, "billing", "a reason", func() bool { return w.status(t, "billing").Reason == "maxReplicas" && decided(5)() })
	if got := w.reason(t, "billing", v1alpha1.ConditionLimited); got != "True/Max" {
		t.Errorf("Limited is %s", got)
	}
}

// TestProblems: a mistake that the API server cannot see is in the status.
func TestProblems(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deployment(t, "billing", 1)
	w.policy(t, "billing", func(s *v1alpha1.AutoscalerPolicySpec) { s.Signals[0].Trigger["policy"] = "other" })
	w.reconcile(t, "billing", "InvalidSignal", func() bool { return w.reason(t, "billing", v1alpha1.ConditionReady) == "False/InvalidSignal" })
	for i, test := range []struct {
		kind policies.Kind
		want string
	}{
		{policies.InFormula, "InvalidFormula"}, {policies.InSchedule, "InvalidSchedule"}, {policies.InConnection, "ConnectionDenied"}, {policies.InSpec, "InvalidPolicy"},
	} {
		name := fmt.Sprintf("policy-%d", i)
		w.policy(t, name, func(s *v1alpha1.AutoscalerPolicySpec) { s.ScaleTargetRef.Name = "billing" })
		w.runner.set(w.key(name), func(policies.Target) policies.Outcome {
			return policies.Outcome{Problems: []policies.Problem{{Kind: test.kind, Err: errors.New("what is wrong")}}}
		})
		w.reconcile(t, name, test.want, func() bool { return w.reason(t, name, v1alpha1.ConditionReady) == "False/"+test.want })
		if events := w.events(t, name); events["NotReady"] != 1 {
			t.Errorf("%s: events %v, want NotReady once", test.want, events)
		}
	}
}

// TestEdges: windows and signals are events when they begin and end, once each.
func TestEdges(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deployment(t, "billing", 1)
	w.policy(t, "billing", func(s *v1alpha1.AutoscalerPolicySpec) { s.Mode = v1alpha1.Observe })
	decide := func(d policy.Decision, err error) {
		w.clock.advance(time.Minute)
		w.runner.set(w.key("billing"), func(policies.Target) policies.Outcome {
			return policies.Outcome{Decision: d, Err: err, Replicas: d.Replicas}
		})
	}
	next := schedule.Edge{Window: "office", At: w.clock.read().Add(time.Hour).Truncate(time.Second)}
	open := policy.Decision{
		Replicas: 10, Floor: 10, Ceiling: 100, Steps: []policy.Step{{Reason: policy.ReasonFloor, Name: "office", After: 10}},
		Schedule: schedule.State{Open: []string{"office"}, Next: next, Floor: schedule.Bound{Window: "office", Replicas: 10}},
		Signals:  []policy.SignalState{{Name: "backlog", Value: 12.5, At: w.clock.read(), State: policy.Known}},
	}
	decide(open, nil)
	w.reconcile(t, "billing", "an open window", func() bool { return w.status(t, "billing").Reason == "office" })
	w.settle(t, "billing")
	status := w.status(t, "billing")
	if windows := status.Windows; windows == nil || windows.Next == nil || windows.Next.Edge != "End" || !windows.Next.At.Time.Equal(next.At) {
		t.Errorf("windows %+v", windows)
	}
	if status.Bounds.Floor != 10 || len(status.Signals) != 1 || status.Signals[0].Value != "12.5" {
		t.Errorf("bounds %+v, signals %+v", status.Bounds, status.Signals)
	}
	// After a start the first read has not ended: nothing is known, and nothing has failed.
	decide(policy.Decision{Signals: []policy.SignalState{{Name: "backlog", State: policy.Holding}}}, fmt.Errorf("%w: backlog", policy.ErrUnknown))
	version := w.version(t)
	w.settle(t, "billing")
	if got := w.version(t); got != version {
		t.Error("the status was written before the first read of a signal had ended")
	}
	unknown := policy.Decision{Floor: 0, Ceiling: 100, Signals: []policy.SignalState{{Name: "backlog", State: policy.Holding, Err: errors.New("refused")}}}
	decide(unknown, fmt.Errorf("%w: backlog", policy.ErrUnknown))
	w.reconcile(t, "billing", "an unknown signal", func() bool { return w.reason(t, "billing", v1alpha1.ConditionSignalsKnown) == "False/Holding" })
	w.settle(t, "billing")
	want := map[string]int{"WindowOpened": 1, "WindowClosed": 1, "SignalUnknown": 1, "Limited": 1}
	events := w.events(t, "billing")
	for reason, times := range want {
		if events[reason] != times {
			t.Errorf("event %s was written %d times, want %d", reason, events[reason], times)
		}
	}
	if got := w.status(t, "billing").Replicas.Decided; got != 10 {
		t.Errorf("decided is %d although nothing is decided, want the last number", got)
	}
}
