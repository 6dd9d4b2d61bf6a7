package kube

import (
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/backlog-scaler/backlog-scaler/api/v1alpha1"
)

func policyAt(name string, second int, mode v1alpha1.Mode) *v1alpha1.AutoscalerPolicy {
	return &v1alpha1.AutoscalerPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.NewTime(start().Add(time.Duration(second) * time.Second))},
		Spec:       v1alpha1.AutoscalerPolicySpec{Mode: mode},
	}
}

func TestOlderThan(t *testing.T) {
	t.Parallel()
	p := policyAt("m", 5, v1alpha1.Enforce)
	for name, test := range map[string]struct {
		siblings []*v1alpha1.AutoscalerPolicy
		want     string
	}{
		"alone":                  {nil, ""},
		"itself":                 {[]*v1alpha1.AutoscalerPolicy{p}, ""},
		"an older one":           {[]*v1alpha1.AutoscalerPolicy{p, policyAt("z", 4, v1alpha1.Enforce)}, "z"},
		"a younger one":          {[]*v1alpha1.AutoscalerPolicy{p, policyAt("a", 6, v1alpha1.Enforce)}, ""},
		"the same second":        {[]*v1alpha1.AutoscalerPolicy{p, policyAt("a", 5, v1alpha1.Enforce)}, "a"},
		"the same second, later": {[]*v1alpha1.AutoscalerPolicy{p, policyAt("n", 5, v1alpha1.Enforce)}, ""},
		"one that observes":      {[]*v1alpha1.AutoscalerPolicy{p, policyAt("a", 1, v1alpha1.Observe)}, ""},
		"the oldest of several":  {[]*v1alpha1.AutoscalerPolicy{policyAt("b", 3, v1alpha1.Enforce), policyAt("c", 1, v1alpha1.Enforce), p}, "c"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := olderThan(p, test.siblings); got != test.want {
				t.Errorf("older is %q, want %q", got, test.want)
			}
		})
	}
}

// TestOnePolicyWrites: of any policies with one workload that enforce, exactly one has no older one.
func TestOnePolicyWrites(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z]{1,3}`), 1, 8, rapid.ID).Draw(t, "names")
		var all []*v1alpha1.AutoscalerPolicy
		for _, name := range names {
			all = append(all, policyAt(name, rapid.IntRange(0, 3).Draw(t, "second"), v1alpha1.Enforce))
		}
		writers := 0
		for i := range all {
			if olderThan(all[i], all) == "" {
				writers++
			}
		}
		if writers != 1 {
			t.Fatalf("%d of %d policies write", writers, len(all))
		}
	})
}

func TestForeignHPA(t *testing.T) {
	t.Parallel()
	hpa := func(name, owner string) *autoscalingv2.HorizontalPodAutoscaler {
		h := &autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if owner != "" {
			h.OwnerReferences = []metav1.OwnerReference{{Kind: owner, Name: "billing"}}
		}
		return h
	}
	hpas := []*autoscalingv2.HorizontalPodAutoscaler{hpa("keda-hpa-billing", "ScaledObject"), hpa("z", ""), hpa("b", "Application")}
	if got := foreignHPA(hpas); got != "b" {
		t.Errorf("foreign is %q, want b", got)
	}
	if got := foreignHPA(hpas[:1]); got != "" {
		t.Errorf("KEDA's own is foreign: %q", got)
	}
}

func TestTargetOf(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ apiVersion, kind, want string }{
		{"apps/v1", "Deployment", "apps/Deployment/a"},
		{"apps/v1beta1", "Deployment", "apps/Deployment/a"},
		{"", "", "apps/Deployment/a"},
		{"v1", "ReplicationController", "/ReplicationController/a"},
		{"argoproj.io/v1alpha1", "Rollout", "argoproj.io/Rollout/a"},
	} {
		if got := targetOf(test.apiVersion, test.kind, "a"); got != test.want {
			t.Errorf("%s %s: %q, want %q", test.apiVersion, test.kind, got, test.want)
		}
	}
}
