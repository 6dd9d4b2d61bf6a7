package keda

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
)

// TestPluginRole: the role of kubectl backlog is one that an API server takes, and has no more than what it takes to
// reach the port of a pod.
func TestPluginRole(t *testing.T) {
	t.Parallel()
	var role rbacv1.Role
	readValid(t, "plugin.yaml", &role)
	want := []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"get", "list"}},
		{APIGroups: []string{""}, Resources: []string{"pods/portforward"}, Verbs: []string{"get", "create"}},
	}
	if diff := cmp.Diff(want, role.Rules); diff != "" || role.Namespace != "backlog-scaler" {
		t.Errorf("in namespace %q (-want +got):\n%s", role.Namespace, diff)
	}
}
