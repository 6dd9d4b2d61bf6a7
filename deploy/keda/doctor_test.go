package keda

import (
	"os"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"
)

// TestCommandRoles: the roles of scaler doctor and of scaler migrate are ones that an API server takes. They list
// and write nothing, and they have no Secrets.
func TestCommandRoles(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"doctor.yaml", "migrate.yaml"} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			checkRole(t, file)
		})
	}
}

func checkRole(t *testing.T, file string) {
	t.Helper()
	var role rbacv1.ClusterRole
	readValid(t, file, &role)
	for _, rule := range role.Rules {
		review := slices.Equal(rule.Resources, []string{"selfsubjectaccessreviews"}) && slices.Equal(rule.Verbs, []string{"create"})
		if !review && !slices.Equal(rule.Verbs, []string{"list"}) {
			t.Errorf("%v may %v", rule.Resources, rule.Verbs)
		}
		for _, resource := range append(rule.Resources, rule.APIGroups...) {
			if strings.Contains(resource, "*") || strings.HasPrefix(resource, "secret") {
				t.Errorf("the role has %q", resource)
			}
		}
	}
	if len(role.Rules) == 0 {
		t.Error("the role has no rules")
	}
}

// readValid reads an object that an API server takes into a value of its type.
func readValid(t *testing.T, file string, typed any) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var object map[string]any
	if err := yaml.UnmarshalStrict(data, &object); err != nil {
		t.Fatal(err)
	}
	if err := newValidator(t).Validate(object); err != nil {
		t.Error(err)
	}
	if err := yaml.UnmarshalStrict(data, typed); err != nil {
		t.Fatal(err)
	}
}
