package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/backlog-scaler/backlog-scaler/worker"
)

// A manifest is what the test wants to know of a Deployment or a ScaledObject.
type manifest struct {
	Kind     string `yaml:"kind"`
	Metadata struct{ Name, Namespace string }
	Spec     struct {
		Replicas *int `yaml:"replicas"`
		Template struct {
			Spec struct {
				TerminationGracePeriodSeconds int `yaml:"terminationGracePeriodSeconds"`
				Containers                    []container
			}
		}
		ScaleTargetRef struct{ Name string } `yaml:"scaleTargetRef"`
		Triggers       []struct{ Metadata map[string]string }
	}
}

type container struct {
	Args  []string
	Ports []struct {
		Name          string
		ContainerPort int `yaml:"containerPort"`
	}
	LivenessProbe  probe `yaml:"livenessProbe"`
	ReadinessProbe probe `yaml:"readinessProbe"`
}

type probe struct {
	HTTPGet struct{ Path, Port string } `yaml:"httpGet"`
}

// manifests are the Deployment and the ScaledObject of worker.yaml.
func manifests(t *testing.T) (deployment, scaledObject manifest) {
	t.Helper()
	data, err := os.ReadFile("worker.yaml")
	if err != nil {
		t.Fatal(err)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	for _, m := range []*manifest{&deployment, &scaledObject} {
		if err := decoder.Decode(m); err != nil {
			t.Fatal(err)
		}
	}
	if err := decoder.Decode(&manifest{}); err != io.EOF { //nolint:errorlint // the decoder returns the bare value
		t.Fatalf("a third manifest, or %v", err)
	}
	if deployment.Kind != "Deployment" || scaledObject.Kind != "ScaledObject" {
		t.Fatalf("kinds %s and %s", deployment.Kind, scaledObject.Kind)
	}
	return deployment, scaledObject
}

// TestManifest holds the times, ports, paths and keys of worker.yaml against the program. Their
// schemas are checked in deploy/keda, and the trigger in internal/reference.
func TestManifest(t *testing.T) {
	t.Parallel()
	deployment, scaledObject := manifests(t)
	pod := deployment.Spec.Template.Spec
	c := pod.Containers[0]
	s, err := parse(c.Args, io.Discard)
	if err != nil {
		t.Fatalf("the arguments of the container: %v", err)
	}
	if kill, needed := time.Duration(pod.TerminationGracePeriodSeconds)*time.Second, s.grace+worker.DefaultHandBack; kill < needed+5*time.Second {
		t.Errorf("a pod is killed after %s, and the worker needs %s and some time to exit", kill, needed)
	}
	if deployment.Spec.Replicas != nil {
		t.Error("the Deployment has replicas, which KEDA sets")
	}
	port := c.Ports[0]
	if s.address != ":8080" || port.ContainerPort != 8080 {
		t.Errorf("the worker serves on %s and the port is %d", s.address, port.ContainerPort)
	}
	w, err := worker.New(worker.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string]probe{"liveness": c.LivenessProbe, "readiness": c.ReadinessProbe} {
		response := httptest.NewRecorder()
		w.Handler().ServeHTTP(response, httptest.NewRequestWithContext(t.Context(), http.MethodGet, p.HTTPGet.Path, http.NoBody))
		if response.Code == http.StatusNotFound || p.HTTPGet.Port != port.Name {
			t.Errorf("%s: %s on port %s is answered with %d", name, p.HTTPGet.Path, p.HTTPGet.Port, response.Code)
		}
	}
	q := newQueue(nil, s.list, s.name, s.lease)
	trigger := scaledObject.Spec.Triggers[0].Metadata
	if trigger["list"] != q.list || trigger["inFlightList"] != q.processing {
		t.Errorf("the trigger reads %q and %q, the worker %q and %q", trigger["list"], trigger["inFlightList"], q.list, q.processing)
	}
	if scaledObject.Spec.ScaleTargetRef.Name != deployment.Metadata.Name || scaledObject.Metadata.Namespace != deployment.Metadata.Namespace {
		t.Errorf("the ScaledObject scales %q in %q", scaledObject.Spec.ScaleTargetRef.Name, scaledObject.Metadata.Namespace)
	}
}
