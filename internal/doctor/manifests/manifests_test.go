package manifests_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/doctor"
	"github.com/backlog-scaler/backlog-scaler/internal/doctor/facts"
	"github.com/backlog-scaler/backlog-scaler/internal/doctor/manifests"
	"github.com/backlog-scaler/backlog-scaler/internal/doctor/object"
)

const two = `# a comment
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  name: billing
spec:
  triggers:
    - type: external-push
      metadata: {list: jobs}
---
apiVersion: v1
kind: List
items:
  - apiVersion: v1
    kind: Service
    metadata: {name: scaler, namespace: queues}
  - apiVersion: v1
    kind: Secret
    metadata: {name: password}
`

// TestRead: objects of several documents and lists, with the lines of their fields. Secrets are left out.
func TestRead(t *testing.T) {
	t.Parallel()
	objects, err := manifests.Read([]string{"-"}, strings.NewReader(two), "shop")
	if err != nil {
		t.Fatal(err)
	}
	var places []object.Place
	for i := range objects {
		places = append(places, objects[i].Place("spec.triggers[0].type"))
	}
	if diff := cmp.Diff([]object.Place{
		{Kind: "ScaledObject", Namespace: "shop", Name: "billing", File: "standard input", Line: 8},
		{Kind: "Service", Namespace: "queues", Name: "scaler", File: "standard input", Line: 14},
	}, places); diff != "" {
		t.Fatalf("places (-want +got):\n%s", diff)
	}
	for path, want := range map[string]int{"": 2, "metadata.name": 5, "spec.triggers[0]": 8, "spec.triggers[0].metadata.list": 9} {
		if got := objects[0].Lines[path]; got != want {
			t.Errorf("%q is in line %d, want %d", path, got, want)
		}
	}
}

// TestFolder: the files of a folder in YAML and JSON, without those of hidden folders.
func TestFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a.yaml": two, "b/c.json": `{"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledJob", "metadata": {"name": "import"}}`,
		"README.md": "# not: [yaml", ".git/d.yaml": two, "values.yaml": "replicas: 3\n", "list.yaml": "- a\n- b\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	objects, err := manifests.Read([]string{dir}, nil, "shop")
	if err != nil {
		t.Fatal(err)
	}
	var kinds []object.Kind
	for i := range objects {
		kinds = append(kinds, objects[i].Kind)
	}
	if diff := cmp.Diff([]object.Kind{object.ScaledObjects, object.Services, object.ScaledJobs}, kinds); diff != "" {
		t.Errorf("kinds (-want +got):\n%s", diff)
	}
}

// TestUnreadable: a file that is not there or not YAML is an error, and the others are read even so.
func TestUnreadable(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"not YAML":     "a: [b",
		"nested lists": "&a\napiVersion: v1\nkind: List\nitems: [*a]\n",
	} {
		objects, err := manifests.Read([]string{"-"}, strings.NewReader(text), "shop")
		if len(objects) > 0 || name == "not YAML" && err == nil {
			t.Errorf("%s: %v, %v", name, objects, err)
		}
	}
	file := filepath.Join(t.TempDir(), "a.yaml")
	if err := os.WriteFile(file, []byte(two), 0o600); err != nil {
		t.Fatal(err)
	}
	objects, err := manifests.Read([]string{file + ".missing", file}, nil, "shop")
	if err == nil || len(objects) != 2 {
		t.Errorf("%d objects, %v", len(objects), err)
	}
}

// FuzzRead: no manifest ends the program, and each can be examined.
func FuzzRead(f *testing.F) {
	f.Add(two)
	f.Add("a: &a [*a]")
	f.Add("apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nspec: {triggers: [1, {type: 2}]}\nmetadata: 3\n")
	f.Fuzz(func(t *testing.T, text string) {
		objects, _ := manifests.Read([]string{"-"}, strings.NewReader(text), "shop")
		if report := doctor.Examine(&facts.Facts{Objects: objects}); len(report.Results) != len(doctor.Codes()) {
			t.Errorf("there are %d results", len(report.Results))
		}
	})
}
