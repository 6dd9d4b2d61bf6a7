package cluster

import (
	"encoding/json"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/backlog-scaler/backlog-scaler/internal/doctor/object"
)

// lastApplied is the annotation in which kubectl apply keeps the manifest.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// reduce leaves out of an object what no check reads: it bounds the memory, and what is not kept cannot be
// printed. Values of environment variables may be secrets, so those of proxies alone are kept.
func reduce(kind object.Kind, fields map[string]any) {
	workload := kind == object.Deployments || kind == object.StatefulSets
	if !workload && kind != object.ScaledObjects && kind != object.ScaledJobs {
		unstructured.RemoveNestedField(fields, "metadata", "managedFields")
	}
	reduceManifest(fields, workload)
	switch kind {
	case object.Deployments, object.StatefulSets:
		reducePod(fields, "spec", "template", "spec")
		unstructured.RemoveNestedField(fields, "spec", "volumeClaimTemplates")
	case object.ScaledJobs:
		reducePod(fields, "spec", "jobTargetRef", "template", "spec")
	case object.Pods:
		reducePod(fields, "spec")
		keep(fields, "status", "phase", "conditions")
	case object.EndpointSlices:
		unstructured.RemoveNestedField(fields, "ports")
		endpoints, _ := fields["endpoints"].([]any)
		for i := range endpoints {
			endpoint, _ := endpoints[i].(map[string]any)
			endpoints[i] = map[string]any{"conditions": endpoint["conditions"]}
		}
	default:
	}
}

// reduceManifest keeps the replicas of the manifest of a workload.
func reduceManifest(fields map[string]any, workload bool) {
	metadata, _ := fields["metadata"].(map[string]any)
	annotations, _ := metadata["annotations"].(map[string]any)
	text, found := annotations[lastApplied].(string)
	if !found {
		return
	}
	delete(annotations, lastApplied)
	var manifest struct {
		Spec struct {
			Replicas *int64 `json:"replicas,omitempty"`
		} `json:"spec"`
	}
	if workload && json.Unmarshal([]byte(text), &manifest) == nil && manifest.Spec.Replicas != nil {
		if data, err := json.Marshal(manifest); err == nil {
			annotations[lastApplied] = string(data)
		}
	}
}

// keep leaves some fields of a part of an object.
func keep(fields map[string]any, part string, names ...string) {
	all, _ := fields[part].(map[string]any)
	kept := make(map[string]any, len(names))
	for _, name := range names {
		if value, found := all[name]; found {
			kept[name] = value
		}
	}
	fields[part] = kept
}

// reducePod keeps what checks read of the spec of a pod.
func reducePod(fields map[string]any, path ...string) {
	parent := fields
	for _, key := range path[:len(path)-1] {
		parent, _ = parent[key].(map[string]any)
	}
	last := path[len(path)-1]
	if _, found := parent[last].(map[string]any); !found {
		return
	}
	keep(parent, last, "containers", "initContainers", "terminationGracePeriodSeconds")
	spec, _ := parent[last].(map[string]any)
	for _, kind := range []string{"containers", "initContainers"} {
		containers, _ := spec[kind].([]any)
		for i := range containers {
			container, _ := containers[i].(map[string]any)
			containers[i] = reduceContainer(container)
		}
	}
}

func reduceContainer(container map[string]any) map[string]any {
	wrapped := map[string]any{"container": container}
	keep(wrapped, "container", "name", "image", "args", "command", "env", "ports")
	kept, _ := wrapped["container"].(map[string]any)
	variables, _ := kept["env"].([]any)
	for i := range variables {
		variable, _ := variables[i].(map[string]any)
		reduced := map[string]any{"name": variable["name"]}
		if name, _ := variable["name"].(string); strings.HasSuffix(strings.ToUpper(name), "_PROXY") {
			reduced["value"] = variable["value"]
			if from, found := variable["valueFrom"]; found {
				reduced["valueFrom"] = from
			}
		}
		variables[i] = reduced
	}
	return kept
}
