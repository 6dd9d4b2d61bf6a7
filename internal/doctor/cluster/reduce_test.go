package cluster

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/doctor/object"
)

// TestReduce: values that may be secrets are not kept, and what checks read is.
func TestReduce(t *testing.T) {
	t.Parallel()
	const secret = "S3CRET"
	const container = `{"name": "worker", "image": "a:1", "args": ["--tls-cert-file=x"], "env": [{"name": "PASSWORD", "value": "S3CRET"}, {"name": "no_proxy", "value": ".svc"}],
		"livenessProbe": {"httpGet": {"httpHeaders": [{"name": "Authorization", "value": "S3CRET"}]}}}`
	const annotations = `"annotations": {"kubectl.kubernetes.io/last-applied-configuration":
		"{\"spec\":{\"replicas\":3,\"template\":{\"spec\":{\"containers\":[{\"env\":[{\"value\":\"S3CRET\"}]}]}}}}"}`
	kept := []string{`"name":"PASSWORD"`, `".svc"`, "--tls-cert-file=x", `"a:1"`}
	for kind, c := range map[object.Kind]struct {
		text string
		want []string
	}{
		object.Deployments: {
			`{"metadata": {` + annotations + `}, "spec": {"template": {"spec": {"containers": [` + container + `], "terminationGracePeriodSeconds": 60}}}}`,
			append(kept, `{\"spec\":{\"replicas\":3}}`, `"terminationGracePeriodSeconds":60`),
		},
		object.ScaledJobs: {`{"metadata": {` + annotations + `}, "spec": {"jobTargetRef": {"template": {"spec": {"containers": [` + container + `]}}}}}`, nil},
		object.Pods:       {`{"metadata": {` + annotations + `}, "spec": {"containers": [` + container + `]}, "status": {"phase": "Pending", "message": "S3CRET"}}`, append(kept, `"Pending"`)},
		object.EndpointSlices: {
			`{"metadata": {"labels": {"kubernetes.io/service-name": "scaler"}}, "endpoints": [{"addresses": ["S3CRET"], "conditions": {"ready": true}}], "ports": [{"name": "S3CRET"}]}`,
			[]string{`"kubernetes.io/service-name":"scaler"`, `[{"conditions":{"ready":true}}]`},
		},
		object.ScaledObjects: {`{"metadata": {` + annotations + `}, "spec": {"pollingInterval": 20}}`, []string{`"pollingInterval":20`}},
		object.Policies:      {`{"spec": {}}`, nil},
	} {
		var fields map[string]any
		if err := json.Unmarshal([]byte(c.text), &fields); err != nil {
			t.Fatal(err)
		}
		reduce(kind, fields)
		data, err := json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(data), secret) {
			t.Errorf("%s keeps a secret: %s", kind, data)
		}
		for _, want := range c.want {
			if !strings.Contains(string(data), want) {
				t.Errorf("%s does not keep %s: %s", kind, want, data)
			}
		}
	}
}
