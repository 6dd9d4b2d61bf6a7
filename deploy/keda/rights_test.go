package keda

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"
)

// rightsOf returns the rights that the chart grants, one "verb group/resource" each, without those
// for the Lease.
func rightsOf(t *testing.T, values string) []string {
	t.Helper()
	var parsed map[string]any
	if err := yaml.UnmarshalStrict([]byte(values), &parsed); err != nil {
		t.Fatal(err)
	}
	rendered, err := loadChart(t).Render(parsed)
	if err != nil {
		t.Fatal(err)
	}
	var rights []string
	for _, object := range rendered.Objects {
		if object.Kind() != "ClusterRole" {
			continue
		}
		var role rbacv1.ClusterRole
		if err := yaml.UnmarshalStrict(object.YAML, &role); err != nil {
			t.Fatal(err)
		}
		for _, rule := range role.Rules {
			for _, verb := range rule.Verbs {
				for _, resource := range rule.Resources {
					rights = append(rights, fmt.Sprintf("%s %s/%s", verb, rule.APIGroups[0], resource))
				}
			}
		}
	}
	slices.Sort(rights)
	return rights
}

// TestRights: each value adds the rights that it needs and no other.
func TestRights(t *testing.T) {
	t.Parallel()
	if rights := rightsOf(t, "{}"); len(rights) > 0 {
		t.Errorf("without policies the chart grants %q", rights)
	}
	enabled := rightsOf(t, "policies: {enabled: true}")
	for _, right := range enabled {
		allowed := []string{"create events.k8s.io/events", "patch backlog-scaler.github.io/autoscalerpolicies/status"}
		if right[:3] != "get" && right[:4] != "list" && right[:5] != "watch" && !slices.Contains(allowed, right) {
			t.Errorf("policies that only observe are granted %q", right)
		}
	}
	for values, want := range map[string][]string{
		"scale: true":    {"get apps/deployments/scale", "get apps/statefulsets/scale", "update apps/deployments/scale", "update apps/statefulsets/scale"},
		"busyPods: true": {"list /pods", "patch /pods", "watch /pods"},
		"extraTargets: [{group: argoproj.io, resource: rollouts}]":              {"get argoproj.io/rollouts", "get argoproj.io/rollouts/scale"},
		"extraTargets: [{group: argoproj.io, resource: rollouts}], scale: true": {"get apps/deployments/scale", "get apps/statefulsets/scale", "get argoproj.io/rollouts", "get argoproj.io/rollouts/scale", "update apps/deployments/scale", "update apps/statefulsets/scale", "update argoproj.io/rollouts/scale"},
	} {
		added := slices.DeleteFunc(rightsOf(t, "policies: {enabled: true, "+values+"}"), func(right string) bool { return slices.Contains(enabled, right) })
		if diff := cmp.Diff(want, added); diff != "" {
			t.Errorf("%s adds (-want +got):\n%s", values, diff)
		}
	}
}
