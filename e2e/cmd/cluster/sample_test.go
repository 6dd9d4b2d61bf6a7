package main

import (
	"bytes"
	"strings"
	"testing"

	kedav1alpha1 "github.com/kedacore/keda/v2/apis/keda/v1alpha1"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/backlog-scaler/backlog-scaler/api/v1alpha1"
	"github.com/backlog-scaler/backlog-scaler/internal/kube/conversion"
)

// TestSample: the objects have no unknown field, the policy is without mistakes, and all three belong together.
func TestSample(t *testing.T) {
	t.Parallel()
	data, err := manifests("127.0.0.1:9090")
	if err != nil {
		t.Fatal(err)
	}
	documents := bytes.Split(data, []byte("\n---\n"))
	if len(documents) != 3 {
		t.Fatalf("%d objects, want 3", len(documents))
	}
	var deployment appsv1.Deployment
	var policy v1alpha1.AutoscalerPolicy
	var object kedav1alpha1.ScaledObject
	for i, into := range []any{&deployment, &policy, &object} {
		if err := yaml.UnmarshalStrict(documents[i], into); err != nil {
			t.Fatal(err)
		}
	}
	if problems := conversion.Policy(&policy).Problems; len(problems) > 0 {
		t.Errorf("the policy has mistakes: %v", problems)
	}
	metadata := object.Spec.Triggers[0].Metadata
	if policy.Spec.ScaleTargetRef.Name != deployment.Name || object.Spec.ScaleTargetRef.Name != deployment.Name || metadata["policy"] != policy.Name {
		t.Errorf("the policy scales %s and the ScaledObject %s by the policy %s", policy.Spec.ScaleTargetRef.Name, object.Spec.ScaleTargetRef.Name, metadata["policy"])
	}
	if metadata["scalerAddress"] != "127.0.0.1:9090" {
		t.Errorf("the address is %q", metadata["scalerAddress"])
	}
}

// TestDecided: the sample is ready once its policy is accepted and has a number.
func TestDecided(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ status, want string }{
		"new":       {`{}`, "no condition Ready"},
		"rejected":  {`{conditions: [{type: Ready, status: "False", reason: NoTrigger, message: none}]}`, "NoTrigger"},
		"no number": {`{conditions: [{type: Ready, status: "True"}]}`, "no number"},
		"decided":   {`{conditions: [{type: Ready, status: "True"}], replicas: {decided: 0}}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			policy := &unstructured.Unstructured{}
			if err := yaml.Unmarshal([]byte("status: "+test.status), &policy.Object); err != nil {
				t.Fatal(err)
			}
			err := decided(policy)
			if (test.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}
