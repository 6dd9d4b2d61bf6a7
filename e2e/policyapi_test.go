package e2e_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	"github.com/backlog-scaler/backlog-scaler/e2e/toolchain"
	"github.com/backlog-scaler/backlog-scaler/internal/policycheck/policychecktest"
)

// policyAPI: the API server accepts a policy with every field, fills in the defaults, and refuses each mistake with the
// message that is meant for it.
func (s *suite) policyAPI(t *testing.T) {
	root, err := toolchain.Root()
	check(t, err)
	resource := schema.GroupVersionResource{Group: "backlog-scaler.github.io", Version: "v1alpha1", Resource: "autoscalerpolicies"}
	crd := filepath.Join(root, "..", "deploy", "keda", "chart", "policies", "backlog-scaler.github.io_autoscalerpolicies.yaml")
	check(t, s.stage.Cluster.InstallCRD(s.ctx, crd, resource))
	client, err := dynamic.NewForConfig(s.stage.Cluster.Config())
	check(t, err)
	policies := client.Resource(resource).Namespace(s.namespace(t, "policy-api"))

	created, err := policies.Create(s.ctx, parsePolicy(t, policychecktest.Whole), metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict})
	check(t, err)
	for path, want := range map[string]any{"spec.mode": "Enforce", "spec.steps.up.readyPercent": int64(100)} {
		if got, _, err := unstructured.NestedFieldNoCopy(created.Object, strings.Split(path, ".")...); err != nil || got != want {
			t.Errorf("%s is %v, %v; want %v", path, got, err, want)
		}
	}
	for _, mistake := range slices.Concat(policychecktest.Mistakes(), changes()) {
		broken := parsePolicy(t, mistake.Policy())
		broken.SetResourceVersion(created.GetResourceVersion())
		_, err := policies.Update(s.ctx, broken, metav1.UpdateOptions{FieldValidation: metav1.FieldValidationStrict, DryRun: []string{metav1.DryRunAll}})
		if err == nil || !strings.Contains(err.Error(), mistake.Server) {
			t.Errorf("%s: the API server answers %v, want %q", mistake.Name, err, mistake.Server)
		}
	}
	if _, err := policies.Create(s.ctx, parsePolicy(t, policychecktest.Nothing), metav1.CreateOptions{}); err == nil ||
		!strings.Contains(err.Error(), "a policy needs a signal or a schedule") {
		t.Errorf("a policy of nothing: the API server answers %v", err)
	}
}

// changes are what an API server refuses in a policy that exists.
func changes() []policychecktest.Mistake {
	return []policychecktest.Mistake{
		{Name: "via changed", From: "via: KEDA", To: "via: Scale\n  #", Server: "via cannot be changed"},
		{Name: "target changed", From: "name: billing}\n  minReplicas", To: "name: shipping}\n  minReplicas", Server: "the target cannot be changed"},
	}
}

// parsePolicy returns a manifest as an object.
func parsePolicy(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	object := &unstructured.Unstructured{}
	check(t, yaml.Unmarshal([]byte(text), &object.Object))
	return object
}
