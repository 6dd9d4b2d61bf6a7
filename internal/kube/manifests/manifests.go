// Package manifests reads the objects out of a cluster that a migration needs. It writes nothing, and reads no
// Secret.
package manifests

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/backlog-scaler/backlog-scaler/internal/kube/api"
)

// maxObjects bounds how many objects of a kind are read.
const maxObjects = 50_000

// Objects are what was read.
type Objects struct {
	// YAML has a document for each object, in a stable order.
	YAML []byte
	// Notes say what could not be read and is not needed by every trigger.
	Notes []string
}

// Read returns KEDA's objects of a namespace, or of all if it is empty, and the workloads and ConfigMaps of
// the namespaces that have any. user is the name by which the API server knows the program, and now the clock.
func Read(ctx context.Context, config *rest.Config, user, namespace string, now func() time.Time) (Objects, error) {
	client, err := api.New(config, user, now)
	if err != nil {
		return Objects{}, err
	}
	defer client.Close()
	r := reader{client: client}
	namespaces := map[string]bool{}
	for _, resource := range []string{"scaledobjects", "scaledjobs", "triggerauthentications", "clustertriggerauthentications"} {
		in := namespace
		if resource == "clustertriggerauthentications" {
			in = ""
		}
		found, err := r.list(ctx, schema.GroupVersionResource{Group: "keda.sh", Version: "v1alpha1", Resource: resource}, in)
		switch {
		case apierrors.IsForbidden(err) && resource == "clustertriggerauthentications":
			r.note(resource, "", err)
		case err != nil:
			return Objects{}, fmt.Errorf("read %s of the cluster: %w", resource, err)
		}
		for _, name := range found {
			if resource == "scaledobjects" || resource == "scaledjobs" {
				namespaces[name] = true
			}
		}
	}
	others := []schema.GroupVersionResource{
		{Group: "apps", Version: "v1", Resource: "deployments"}, {Group: "apps", Version: "v1", Resource: "statefulsets"}, {Version: "v1", Resource: "configmaps"},
	}
	for _, name := range slices.Sorted(maps.Keys(namespaces)) {
		for _, resource := range others {
			_, err := r.list(ctx, resource, name)
			switch {
			case apierrors.IsForbidden(err):
				r.note(resource.Resource, name, err)
			case err != nil:
				return Objects{}, fmt.Errorf("read %s of namespace %s: %w", resource.Resource, name, err)
			}
		}
	}
	return Objects{YAML: r.out.Bytes(), Notes: r.notes}, nil
}

// A reader collects objects.
type reader struct {
	client *api.Client
	out    bytes.Buffer
	notes  []string
}

func (r *reader) note(resource, namespace string, err error) {
	where := "the cluster"
	if namespace != "" {
		where = "namespace " + namespace
	}
	r.notes = append(r.notes, fmt.Sprintf("%s of %s may not be read: %v", resource, where, err))
}

// list reads all objects of a resource, and returns the namespaces in which there are some.
func (r *reader) list(ctx context.Context, resource schema.GroupVersionResource, namespace string) ([]string, error) {
	var names []string
	err := r.client.Each(ctx, resource, namespace, "", func(o *unstructured.Unstructured) error {
		if names = append(names, o.GetNamespace()); len(names) > maxObjects {
			return fmt.Errorf("there are more than %d", maxObjects)
		}
		return r.add(o)
	})
	return names, err
}

// add adds an object as a document. JSON is YAML.
func (r *reader) add(object *unstructured.Unstructured) error {
	data, err := json.Marshal(object.Object)
	if err != nil {
		return fmt.Errorf("read %s %s: %w", object.GetKind(), object.GetName(), err)
	}
	r.out.WriteString("---\n")
	r.out.Write(data)
	r.out.WriteString("\n")
	return nil
}
