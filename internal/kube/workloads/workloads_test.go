package workloads_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/backlog-scaler/backlog-scaler/internal/kube/workloads"
)

// TestReplicas reads what an API server answers. It only ever asks with GET.
func TestReplicas(t *testing.T) {
	t.Parallel()
	object := func(kind string) string {
		return `{"apiVersion":"keda.sh/v1alpha1","kind":"ScaledObject","metadata":{"name":"a"},"spec":{"scaleTargetRef":{"name":"worker"` + kind + `}}}`
	}
	const (
		five    = `{"apiVersion":"apps/v1","kind":"X","metadata":{"name":"worker"},"spec":{"replicas":5},"status":{"readyReplicas":3}}`
		zero    = `{"apiVersion":"apps/v1","kind":"X","metadata":{"name":"worker"},"spec":{"replicas":0},"status":{}}`
		missing = `{"apiVersion":"apps/v1","kind":"X","metadata":{"name":"worker"},"spec":{}}`
	)
	for name, tc := range map[string]struct {
		object, path, workload string
		desired, ready         int64
		err                    string
	}{
		"a Deployment":      {object(""), "deployments", five, 5, 3, ""},
		"none":              {object(`,"kind":"Deployment"`), "deployments", zero, 0, 0, ""},
		"a StatefulSet":     {object(`,"kind":"StatefulSet"`), "statefulsets", five, 5, 3, ""},
		"another kind":      {object(`,"kind":"Rollout"`), "rollouts", five, 0, 0, `scaleTargetRef.kind "Rollout" of ScaledObject shop/a: want Deployment or StatefulSet`},
		"no replicas":       {object(""), "deployments", missing, 0, 0, "spec.replicas is missing"},
		"no workload":       {object(`,"kind":"StatefulSet"`), "deployments", five, 0, 0, "read statefulsets shop/worker: "},
		"no ScaledObject":   {"", "deployments", five, 0, 0, "read ScaledObject shop/a: "},
		"no right to it":    {"forbidden", "deployments", five, 0, 0, "forbidden"},
		"replicas in words": {object(""), "deployments", strings.Replace(five, "5", `"five"`, 1), 0, 0, "spec.replicas"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodGet {
					t.Errorf("%s %s", r.Method, r.URL)
				}
				w.Header().Set("Content-Type", "application/json")
				body := ""
				switch r.URL.Path {
				case "/apis/keda.sh/v1alpha1/namespaces/shop/scaledobjects/a":
					body = tc.object
				case "/apis/apps/v1/namespaces/shop/" + tc.path + "/worker":
					body = tc.workload
				}
				switch body {
				case "":
					w.WriteHeader(http.StatusNotFound)
					body = `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404,"message":"not found"}`
				case "forbidden":
					w.WriteHeader(http.StatusForbidden)
					body = `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403,"message":"it is forbidden"}`
				}
				_, _ = w.Write([]byte(body))
			}))
			defer server.Close()
			found, err := workloads.Find(t.Context(), &rest.Config{Host: server.URL}, "test", "shop", "a", time.Now)
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Errorf("error %v, want %q", err, tc.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer found.Close()
			if desired, ready, err := found.Replicas(t.Context()); err != nil || desired != tc.desired || ready != tc.ready {
				t.Errorf("%d replicas and %d ready, %v; want %d and %d", desired, ready, err, tc.desired, tc.ready)
			}
		})
	}
}
