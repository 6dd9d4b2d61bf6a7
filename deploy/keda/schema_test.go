package keda

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/backlog-scaler/backlog-scaler/deploy/internal/helmchart"
	"github.com/backlog-scaler/backlog-scaler/deploy/internal/kubeschema"
)

func newValidator(t *testing.T) *kubeschema.Validator {
	t.Helper()
	validator, err := kubeschema.New(t.Context(), filepath.Join("..", ".."))
	if err != nil {
		t.Fatalf("%v (the schemas come from Go modules: is the module proxy reachable?)", err)
	}
	return validator
}

// TestSchemas checks every rendered object and every example against the schema of its API server.
func TestSchemas(t *testing.T) {
	t.Parallel()
	validator := newValidator(t)
	for _, set := range valueSets() {
		for _, object := range render(t, set).Objects {
			if err := validator.Validate(object.Content); err != nil {
				t.Errorf("values %s, %s: %v", set, object.File, err)
			}
		}
	}
	for _, example := range examples(t) {
		if err := validator.Validate(example.Content); err != nil {
			t.Errorf("%s: %v", example.File, err)
		}
	}
}

// TestSchemasRefuse shows that the check can fail, for each source of schemas.
func TestSchemasRefuse(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ object, want string }{
		"unknown field of a container": {
			"{apiVersion: apps/v1, kind: Deployment, spec: {selector: {}, template: {spec: {containers: [{name: a, image: b, prots: []}]}}}}", "prots",
		},
		"unknown field of metadata": {
			"{apiVersion: v1, kind: Service, metadata: {nmae: a}}", "nmae",
		},
		"wrong type": {
			"{apiVersion: apps/v1, kind: Deployment, spec: {replicas: many, selector: {}, template: {}}}", "replicas",
		},
		"missing field": {
			"{apiVersion: apps/v1, kind: Deployment, spec: {template: {}}}", "selector",
		},
		"unknown field of a ScaledObject": {
			"{apiVersion: keda.sh/v1alpha1, kind: ScaledObject, spec: {scaleTargetRef: {name: a}, minReplicas: 0, triggers: [{type: a, metadata: {}}]}}", "minReplicas",
		},
		"metadata of a trigger that is no text": {
			"{apiVersion: keda.sh/v1alpha1, kind: ScaledObject, spec: {scaleTargetRef: {name: a}, triggers: [{type: a, metadata: {target: 5}}]}}", "target",
		},
		"unknown field of custom metadata": {
			"{apiVersion: keda.sh/v1alpha1, kind: ScaledObject, metadata: {nmae: a}, spec: {scaleTargetRef: {name: a}, triggers: [{type: a, metadata: {}}]}}", "nmae",
		},
		"unknown field of a policy": {
			"{apiVersion: backlog-scaler.github.io/v1alpha1, kind: AutoscalerPolicy, spec: {via: KEDA, maxReplicas: 1, scaleTargetRef: {name: a}, sgnals: []}}", "sgnals",
		},
		"unknown field of a ServiceMonitor": {
			"{apiVersion: monitoring.coreos.com/v1, kind: ServiceMonitor, spec: {selector: {}, endpoints: [{prot: http}]}}", "prot",
		},
		"unknown field of a rule": {
			"{apiVersion: monitoring.coreos.com/v1, kind: PrometheusRule, spec: {groups: [{name: a, rules: [{alert: a, expr: b, fro: 5m}]}]}}", "fro",
		},
		"unknown kind": {"{apiVersion: apps/v1, kind: Deploiment}", "Deploiment"},
	}
	validator := newValidator(t)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var object map[string]any
			if err := yaml.UnmarshalStrict([]byte(test.object), &object); err != nil {
				t.Fatal(err)
			}
			err := validator.Validate(object)
			if err == nil {
				t.Fatal("the object is accepted")
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %q does not name %q", err, test.want)
			}
		})
	}
}

// examples reads all objects of the folder examples, those of the example worker and those of the
// examples of policies.
func examples(t *testing.T) []helmchart.Object {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("examples", "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("list examples: %d files, %v", len(files), err)
	}
	policies, err := filepath.Glob(filepath.Join("..", "..", "examples", "policies", "*.yaml"))
	if err != nil || len(policies) == 0 {
		t.Fatalf("list examples of policies: %d files, %v", len(policies), err)
	}
	files = append(files, policies...)
	files = append(files, filepath.Join("..", "..", "examples", "worker", "worker.yaml"))
	var objects []helmchart.Object
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found, err := helmchart.Objects(filepath.Base(file), data)
		if err != nil {
			t.Fatal(err)
		}
		objects = append(objects, found...)
	}
	return objects
}
