package kube

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/backlog-scaler/backlog-scaler/api/v1alpha1"
	"github.com/backlog-scaler/backlog-scaler/internal/policies"
	"github.com/backlog-scaler/backlog-scaler/internal/policy"
	"github.com/backlog-scaler/backlog-scaler/internal/schedule"
)

// subjectOf is a policy "billing" of a Deployment of that name.
func subjectOf(via policies.Via, o owners) *subject {
	return &subject{
		record: &record{}, object: &v1alpha1.AutoscalerPolicy{ObjectMeta: metav1.ObjectMeta{Name: "billing", Generation: 2}}, owners: o, now: start(),
		policy: &policies.Policy{Key: policies.Key{Name: "billing"}, Via: via, Ref: policies.Ref{Kind: "Deployment", Name: "billing"}},
	}
}

// drivenBy is the state in which a ScaledObject asks for the policy.
func drivenBy(others int) owners {
	return owners{known: true, scaledObjects: []scaledObject{{name: "billing", policies: []string{"billing"}, others: others, max: 10}}}
}

func TestConflicts(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		via  policies.Via
		o    owners
		want string
	}{
		"alone":                                {policies.ViaScale, owners{known: true}, ""},
		"driven by KEDA":                       {policies.ViaKEDA, drivenBy(0), ""},
		"an HPA":                               {policies.ViaScale, owners{hpa: "a"}, v1alpha1.ReasonHPAOwnsTarget},
		"an HPA next to KEDA":                  {policies.ViaKEDA, owners{hpa: "a"}, v1alpha1.ReasonHPAOwnsTarget},
		"a ScaledObject, via Scale":            {policies.ViaScale, drivenBy(0), v1alpha1.ReasonScaledObjectOwnsTarget},
		"a ScaledObject of another workload":   {policies.ViaKEDA, owners{elsewhere: "a"}, v1alpha1.ReasonTargetDiffers},
		"one here and one of another workload": {policies.ViaKEDA, func() owners { o := drivenBy(0); o.elsewhere = "a"; return o }(), ""},
		"an older policy":                      {policies.ViaScale, owners{older: "a"}, v1alpha1.ReasonOlderPolicy},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, _ := ownerConflict(subjectOf(test.via, test.o)); got != test.want {
				t.Errorf("conflict %q, want %q", got, test.want)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	step := func(reason policy.Reason, name string, before, after int32) policy.Step {
		return policy.Step{Reason: reason, Name: name, Before: before, After: after}
	}
	for name, test := range map[string]struct {
		steps   []policy.Step
		others  int
		want    string
		message string
	}{
		"nothing":         {[]policy.Step{step(policy.ReasonNeed, "backlog", 0, 5)}, 0, v1alpha1.ReasonNotLimited, "signals want"},
		"a floor":         {[]policy.Step{step(policy.ReasonFloor, "office", 2, 10)}, 0, v1alpha1.ReasonFloor, `"office": 10 instead of 2`},
		"the last counts": {[]policy.Step{step(policy.ReasonFloor, "office", 2, 10), step(policy.ReasonStepUp, "", 10, 4)}, 0, v1alpha1.ReasonStep, "4 instead of 10"},
		"stuck":           {[]policy.Step{step(policy.ReasonNotReady, "", 9, 4), step(policy.ReasonStuck, "", 4, 4)}, 0, v1alpha1.ReasonStepStuck, "stuck"},
		"busy":            {[]policy.Step{step(policy.ReasonBusy, "", 2, 4)}, 0, v1alpha1.ReasonBusy, "4 instead of 2"},
		"a limiter":       {[]policy.Step{step(policy.ReasonLimiter, "database", 9, 4)}, 0, v1alpha1.ReasonLimiter, `"database"`},
		"other triggers":  {nil, 1, v1alpha1.ReasonOtherTriggers, "more triggers"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			outcome := &policies.Outcome{Decision: policy.Decision{Steps: test.steps}}
			reason, message := limitedReason(subjectOf(policies.ViaKEDA, drivenBy(test.others)), outcome)
			if reason != test.want || !strings.Contains(message, test.message) {
				t.Errorf("%s: %s; want %s: ...%s", reason, message, test.want, test.message)
			}
		})
	}
}

// TestUnknownSignals: while nothing is decided the condition Limited stays as it was.
func TestUnknownSignals(t *testing.T) {
	t.Parallel()
	s := subjectOf(policies.ViaScale, owners{known: true})
	limited := &policies.Outcome{Decision: policy.Decision{
		Steps:    []policy.Step{{Reason: policy.ReasonMaxReplicas, Before: 9, After: 5}},
		Schedule: schedule.State{Conflict: true, Floor: schedule.Bound{Window: "a", Replicas: 5}, Ceiling: schedule.Bound{Window: "b", Replicas: 2}},
	}}
	before := conditionsOf(nil, s, limited, &deeds{})
	s.now = s.now.Add(time.Hour)
	unknown := &policies.Outcome{Err: fmt.Errorf("%w: backlog", policy.ErrUnknown), Decision: policy.Decision{
		Signals: []policy.SignalState{{Name: "backlog", State: policy.Holding, Err: errors.New("refused")}},
	}}
	after := conditionsOf(before, s, unknown, &deeds{})
	want := map[string]string{
		v1alpha1.ConditionReady: "True/Accepted 09:00", v1alpha1.ConditionSignalsKnown: "False/Holding 10:00",
		v1alpha1.ConditionLimited: "True/Max 09:00", v1alpha1.ConditionConflicted: "False/NoConflict 10:00",
	}
	for _, c := range after {
		if got := fmt.Sprintf("%s/%s %s", c.Status, c.Reason, c.LastTransitionTime.UTC().Format("15:04")); got != want[c.Type] {
			t.Errorf("%s is %s, want %s", c.Type, got, want[c.Type])
		}
	}
	if len(after) != len(want) {
		t.Errorf("%d conditions, want %d", len(after), len(want))
	}
}

// TestStatusNews: what is new every second is no news.
func TestStatusNews(t *testing.T) {
	t.Parallel()
	status := func(change func(*v1alpha1.AutoscalerPolicyStatus)) *v1alpha1.AutoscalerPolicyStatus {
		s := &v1alpha1.AutoscalerPolicyStatus{
			Reason:     "office",
			Signals:    []v1alpha1.SignalStatus{{Name: "backlog", Value: "5", At: new(metav1.NewTime(start())), State: "Stale", Message: "5s ago"}},
			Conditions: []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonAccepted, Message: "a"}},
		}
		change(s)
		return s
	}
	before := status(func(*v1alpha1.AutoscalerPolicyStatus) {})
	for name, test := range map[string]struct {
		change       func(*v1alpha1.AutoscalerPolicyStatus)
		same, urgent bool
	}{
		"nothing": {func(*v1alpha1.AutoscalerPolicyStatus) {}, true, false},
		"the time": {func(s *v1alpha1.AutoscalerPolicyStatus) {
			s.Signals[0].At = new(metav1.NewTime(start().Add(time.Hour)))
		}, true, false},
		"text of an error":  {func(s *v1alpha1.AutoscalerPolicyStatus) { s.Signals[0].Message = "6s ago" }, true, false},
		"text of condition": {func(s *v1alpha1.AutoscalerPolicyStatus) { s.Conditions[0].Message = "b" }, true, false},
		"a value":           {func(s *v1alpha1.AutoscalerPolicyStatus) { s.Signals[0].Value = "6" }, false, false},
		"replicas":          {func(s *v1alpha1.AutoscalerPolicyStatus) { s.Replicas.Current = 3 }, false, false},
		"the reason":        {func(s *v1alpha1.AutoscalerPolicyStatus) { s.Reason = "need" }, false, true},
		"a bound":           {func(s *v1alpha1.AutoscalerPolicyStatus) { s.Bounds.Floor = 3 }, false, true},
		"a window":          {func(s *v1alpha1.AutoscalerPolicyStatus) { s.Windows = &v1alpha1.WindowsStatus{Active: []string{"a"}} }, false, true},
		"a condition":       {func(s *v1alpha1.AutoscalerPolicyStatus) { s.Conditions[0].Reason = v1alpha1.ReasonNoTrigger }, false, true},
		"the generation":    {func(s *v1alpha1.AutoscalerPolicyStatus) { s.ObservedGeneration = 3 }, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			after := status(test.change)
			if got := sameStatus(before, after); got != test.same {
				t.Errorf("same is %v, want %v", got, test.same)
			}
			if got := urgent(before, after); got != test.urgent {
				t.Errorf("urgent is %v, want %v", got, test.urgent)
			}
		})
	}
}
