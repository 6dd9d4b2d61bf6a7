package conversion_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/backlog-scaler/backlog-scaler/api/v1alpha1"
	"github.com/backlog-scaler/backlog-scaler/internal/kube/conversion"
	"github.com/backlog-scaler/backlog-scaler/internal/policies"
	"github.com/backlog-scaler/backlog-scaler/internal/policy"
	"github.com/backlog-scaler/backlog-scaler/internal/schedule"
)

// whole has every field.
func whole() *v1alpha1.AutoscalerPolicy {
	berlin := time.FixedZone("", 3600)
	return &v1alpha1.AutoscalerPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "billing", Generation: 3},
		Spec: v1alpha1.AutoscalerPolicySpec{
			Mode: v1alpha1.Enforce, Via: v1alpha1.ViaKEDA, Jump: v1alpha1.JumpFromZero,
			ScaleTargetRef: v1alpha1.TargetRef{APIVersion: "apps/v1", Kind: "Deployment", Name: "billing"},
			MinReplicas:    1, MaxReplicas: 100, Formula: "max(need.backlog, booked / 40)",
			Signals: []v1alpha1.Signal{
				{
					Name: "backlog", Connection: "orders", Trigger: map[string]v1alpha1.TriggerValue{"list": "orders", "target": "20"},
					Interval: "15s", MaxStaleness: "30s", WhenUnknown: v1alpha1.Hold,
				},
				{
					Name: "booked", Connection: "calendar", Trigger: map[string]v1alpha1.TriggerValue{"path": "/v1/expected", "value": "$.jobs"},
					Target: "40.5", Interval: "1m", MaxStaleness: "2m", WhenUnknown: v1alpha1.Value, Value: "0.25",
				},
			},
			Schedules: []v1alpha1.Schedule{
				{Name: "office", TimeZone: "Europe/Berlin", Start: "0 7 * * 1-5", End: "0 20 * * 1-5", Floor: new(int32(10)), Ramp: "15m"},
				{Name: "night", TimeZone: "Europe/Berlin", Start: "0 22 * * *", Duration: "8h", Ceiling: new(int32(2))},
				{
					Name: "sale", Exact: new(int32(40)), Priority: 10,
					From:  new(metav1.NewTime(time.Date(2026, 11, 27, 0, 0, 0, 0, berlin))),
					Until: new(metav1.NewTime(time.Date(2026, 11, 30, 0, 0, 0, 0, berlin))),
				},
			},
			Limiters: []v1alpha1.Limiter{
				{Name: "database", When: "booked > 3", Until: "booked < 1", Action: v1alpha1.LowerCeiling, Ceiling: "current * 0.8"},
				{Name: "failing", When: "booked > 500", Action: v1alpha1.Freeze},
			},
			Steps: &v1alpha1.Steps{
				Up:   &v1alpha1.StepUp{First: new(int32(1)), Pods: new(int32(4)), Percent: new(int32(50)), Period: "30s", ReadyPercent: 90, StuckAfter: "10m"},
				Down: &v1alpha1.StepDown{Pods: new(int32(2)), Percent: new(int32(10)), Period: "1m", Hold: "5m"},
			},
			BusyPods: &v1alpha1.BusyPods{
				From: v1alpha1.BusyFromHTTP, Keep: v1alpha1.Strict, GiveUpAfter: "10m", HTTP: &v1alpha1.BusyHTTP{Port: 8080, Path: "/busy"},
			},
		},
	}
}

func TestPolicy(t *testing.T) {
	t.Parallel()
	want := policies.Policy{
		Key: policies.Key{Namespace: "shop", Name: "billing"}, Generation: 3,
		Mode: policies.Enforce, Via: policies.ViaKEDA, Jump: policies.JumpFromZero,
		Ref: policies.Ref{APIVersion: "apps/v1", Kind: "Deployment", Name: "billing"},
		Spec: policy.Spec{
			MinReplicas: 1, MaxReplicas: 100, Formula: "max(need.backlog, booked / 40)",
			Signals: []policy.Signal{
				{Name: "backlog", MaxStaleness: 30 * time.Second},
				{Name: "booked", Target: 40.5, MaxStaleness: 2 * time.Minute, WhenUnknown: policy.UseValue, Value: 0.25},
			},
			Schedules: []schedule.Spec{
				{Name: "office", TimeZone: "Europe/Berlin", Start: "0 7 * * 1-5", End: "0 20 * * 1-5", Floor: new(int32(10)), Ramp: 15 * time.Minute},
				{Name: "night", TimeZone: "Europe/Berlin", Start: "0 22 * * *", Duration: 8 * time.Hour, Ceiling: new(int32(2))},
				{
					Name: "sale", Exact: new(int32(40)), Priority: 10,
					From: time.Date(2026, 11, 26, 23, 0, 0, 0, time.UTC), Until: time.Date(2026, 11, 29, 23, 0, 0, 0, time.UTC),
				},
			},
			Limiters: []policy.Limiter{
				{Name: "database", When: "booked > 3", Until: "booked < 1", Action: policy.Lower, Ceiling: "current * 0.8"},
				{Name: "failing", When: "booked > 500", Action: policy.Freeze},
			},
			Up:   &policy.StepUp{First: 1, Pods: 4, Percent: 50, Period: 30 * time.Second, ReadyPercent: 90, StuckAfter: 10 * time.Minute},
			Down: &policy.StepDown{Pods: 2, Percent: 10, Period: time.Minute, Hold: 5 * time.Minute},
			Busy: &policy.BusyPods{Keep: policy.Strict, GiveUpAfter: 10 * time.Minute},
		},
		Signals: []policies.Signal{
			{Name: "backlog", Connection: "orders", Trigger: map[string]string{"list": "orders", "target": "20"}, Interval: 15 * time.Second},
			{Name: "booked", Connection: "calendar", Trigger: map[string]string{"path": "/v1/expected", "value": "$.jobs"}, Interval: time.Minute},
		},
	}
	if diff := cmp.Diff(want, conversion.Policy(whole()), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("policy (-want +got):\n%s", diff)
	}
	want.Spec.Signals[0].OwnTarget = true
	if _, err := policy.New(want.Spec); err != nil {
		t.Errorf("the policy does not compile: %v", err)
	}
}

// TestDefaults: a policy that no API server has stored has the defaults of the custom resource
// definition.
func TestDefaults(t *testing.T) {
	t.Parallel()
	object := &v1alpha1.AutoscalerPolicy{Spec: v1alpha1.AutoscalerPolicySpec{
		Via: v1alpha1.ViaScale, MaxReplicas: 5, ScaleTargetRef: v1alpha1.TargetRef{Name: "billing"},
		Signals:  []v1alpha1.Signal{{Name: "a", Connection: "c", Trigger: map[string]v1alpha1.TriggerValue{"list": "a"}}},
		Limiters: []v1alpha1.Limiter{{Name: "l", When: "a > 1"}},
		Steps:    &v1alpha1.Steps{Up: &v1alpha1.StepUp{Pods: new(int32(1))}, Down: &v1alpha1.StepDown{Pods: new(int32(1))}},
		BusyPods: &v1alpha1.BusyPods{From: v1alpha1.BusyFromAnnotation, Annotation: "example.com/busy"},
	}}
	got := conversion.Policy(object)
	want := policies.Policy{
		Mode: policies.Enforce, Via: policies.ViaScale, Jump: policies.JumpNever,
		Ref: policies.Ref{APIVersion: "apps/v1", Kind: "Deployment", Name: "billing"},
		Spec: policy.Spec{
			MaxReplicas: 5,
			Signals:     []policy.Signal{{Name: "a", MaxStaleness: 2 * time.Minute}},
			Limiters:    []policy.Limiter{{Name: "l", When: "a > 1"}},
			Up:          &policy.StepUp{Pods: 1, Period: 30 * time.Second, StuckAfter: 10 * time.Minute},
			Down:        &policy.StepDown{Pods: 1, Period: time.Minute, Hold: 5 * time.Minute},
			Busy:        &policy.BusyPods{GiveUpAfter: 10 * time.Minute},
		},
		Signals: []policies.Signal{{Name: "a", Connection: "c", Trigger: map[string]string{"list": "a"}, Interval: 15 * time.Second}},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("policy (-want +got):\n%s", diff)
	}
}

// TestProblems: each mistake that the API server cannot see is one problem, of the right kind, that
// names the field and the value.
func TestProblems(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(*v1alpha1.AutoscalerPolicySpec)
		kind   policies.Kind
		want   []string
	}{
		"mode":                  {func(s *v1alpha1.AutoscalerPolicySpec) { s.Mode = "Off" }, policies.InSpec, []string{`mode "Off"`, "Observe"}},
		"via":                   {func(s *v1alpha1.AutoscalerPolicySpec) { s.Via = "Patch" }, policies.InSpec, []string{`via "Patch"`, "KEDA or Scale"}},
		"jump":                  {func(s *v1alpha1.AutoscalerPolicySpec) { s.Jump = "Up" }, policies.InSpec, []string{`jump "Up"`, "FromZero"}},
		"jump via Scale":        {func(s *v1alpha1.AutoscalerPolicySpec) { s.Via = v1alpha1.ViaScale }, policies.InSpec, []string{`jump "FromZero"`, "Never"}},
		"version of the target": {func(s *v1alpha1.AutoscalerPolicySpec) { s.ScaleTargetRef.APIVersion = "apps/v1/x" }, policies.InSpec, []string{`"apps/v1/x"`, "apps/v1"}},
		"no target":             {func(s *v1alpha1.AutoscalerPolicySpec) { s.ScaleTargetRef.Name = "" }, policies.InSpec, []string{"scaleTargetRef.name"}},
		"interval overflows":    {func(s *v1alpha1.AutoscalerPolicySpec) { s.Signals[0].Interval = "9999999999999h" }, policies.InSignal, []string{"signals[backlog].interval", `"9999999999999h"`, "30s"}},
		"interval of a year":    {func(s *v1alpha1.AutoscalerPolicySpec) { s.Signals[0].Interval = "8760h" }, policies.InSignal, []string{"signals[backlog].interval", `"8760h"`, "744h"}},
		"interval of nothing":   {func(s *v1alpha1.AutoscalerPolicySpec) { s.Signals[0].Interval = "0s" }, policies.InSignal, []string{"signals[backlog].interval", "1s or more"}},
		"staleness":             {func(s *v1alpha1.AutoscalerPolicySpec) { s.Signals[0].MaxStaleness = "soon" }, policies.InSignal, []string{"signals[backlog].maxStaleness", `"soon"`}},
		"target of nothing":     {func(s *v1alpha1.AutoscalerPolicySpec) { s.Signals[0].Target = "0.0" }, policies.InSignal, []string{"signals[backlog].target", `"0.0"`, "more than 0"}},
		"target is no number":   {func(s *v1alpha1.AutoscalerPolicySpec) { s.Signals[1].Target = "1e999" }, policies.InSignal, []string{"signals[booked].target", `"1e999"`}},
		"value without Value":   {func(s *v1alpha1.AutoscalerPolicySpec) { s.Signals[0].Value = "1" }, policies.InSignal, []string{"signals[backlog].value", "whenUnknown: Value"}},
		"Value without value":   {func(s *v1alpha1.AutoscalerPolicySpec) { s.Signals[1].Value = "" }, policies.InSignal, []string{"signals[booked].value"}},
		"when unknown":          {func(s *v1alpha1.AutoscalerPolicySpec) { s.Signals[0].WhenUnknown = "Zero" }, policies.InSignal, []string{"signals[backlog].whenUnknown", `"Zero"`, "Hold"}},
		"policy in a trigger":   {func(s *v1alpha1.AutoscalerPolicySpec) { s.Signals[0].Trigger["policy"] = "billing" }, policies.InSignal, []string{"signals[backlog].trigger.policy"}},
		"connection in it":      {func(s *v1alpha1.AutoscalerPolicySpec) { s.Signals[0].Trigger["connection"] = "other" }, policies.InSignal, []string{"signals[backlog].trigger.connection", "next to trigger"}},
		"duration":              {func(s *v1alpha1.AutoscalerPolicySpec) { s.Schedules[1].Duration = "8" }, policies.InSchedule, []string{"schedules[night].duration", `"8"`}},
		"ramp":                  {func(s *v1alpha1.AutoscalerPolicySpec) { s.Schedules[0].Ramp = "-1m" }, policies.InSchedule, []string{"schedules[office].ramp", `"-1m"`}},
		"action":                {func(s *v1alpha1.AutoscalerPolicySpec) { s.Limiters[0].Action = "Stop" }, policies.InSpec, []string{"limiters[database].action", `"Stop"`, "Freeze"}},
		"no ceiling":            {func(s *v1alpha1.AutoscalerPolicySpec) { s.Limiters[0].Ceiling = "" }, policies.InFormula, []string{"limiters[database].ceiling"}},
		"period":                {func(s *v1alpha1.AutoscalerPolicySpec) { s.Steps.Up.Period = "1d" }, policies.InSpec, []string{"steps.up.period", `"1d"`}},
		"hold":                  {func(s *v1alpha1.AutoscalerPolicySpec) { s.Steps.Down.Hold = "1d" }, policies.InSpec, []string{"steps.down.hold", `"1d"`}},
		"keep":                  {func(s *v1alpha1.AutoscalerPolicySpec) { s.BusyPods.Keep = "All" }, policies.InSpec, []string{"busyPods.keep", `"All"`, "Strict"}},
		"busy from elsewhere":   {func(s *v1alpha1.AutoscalerPolicySpec) { s.BusyPods.From = "Logs" }, policies.InSpec, []string{"busyPods.from", `"Logs"`, "Queue, Annotation or HTTP"}},
		"signal without queue":  {func(s *v1alpha1.AutoscalerPolicySpec) { s.BusyPods.Signal = "backlog" }, policies.InSpec, []string{"busyPods.signal", `"backlog"`, "from: Queue"}},
		"HTTP without a port":   {func(s *v1alpha1.AutoscalerPolicySpec) { s.BusyPods.HTTP = nil }, policies.InSpec, []string{"busyPods.http", "port"}},
		"no annotation":         {func(s *v1alpha1.AutoscalerPolicySpec) { s.BusyPods.From = v1alpha1.BusyFromAnnotation }, policies.InSpec, []string{"busyPods.annotation"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			object := whole()
			test.change(&object.Spec)
			problems := conversion.Policy(object).Problems
			if len(problems) != 1 {
				t.Fatalf("problems %v, want one", problems)
			}
			if problems[0].Kind != test.kind {
				t.Errorf("kind %d, want %d", problems[0].Kind, test.kind)
			}
			for _, want := range test.want {
				if text := problems[0].Err.Error(); !strings.Contains(text, want) {
					t.Errorf("problem %q does not say %q", text, want)
				}
			}
		})
	}
}

// TestSeveralProblems: all of them are found at once.
func TestSeveralProblems(t *testing.T) {
	t.Parallel()
	object := whole()
	object.Spec.Mode, object.Spec.Signals[0].Interval, object.Spec.Steps.Down.Hold = "Off", "x", "y"
	if problems := conversion.Policy(object).Problems; len(problems) != 3 {
		t.Errorf("problems %v, want three", problems)
	}
}
