// Package kubeschema checks objects against the schemas by which API servers check them: Kubernetes'
// own OpenAPI document, and the custom resource definitions of KEDA, of the Prometheus operator and of
// the scaler. A field that the schema does not know is an error.
package kubeschema

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"sigs.k8s.io/yaml"
)

// objectMeta is where every kind's metadata is described.
const objectMeta = "kube:///api__v1_openapi.json#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"

// A Validator knows the schemas of all kinds.
type Validator struct {
	// locations says where the schema of a kind is, by "apiVersion kind". New alone writes it.
	locations map[string]string

	mu       sync.Mutex // guards what follows: a schema is compiled when it is needed first
	compiler *jsonschema.Compiler
	compiled map[string]*jsonschema.Schema
}

// New reads the schemas. root is the folder of the scaler's own go.mod, which says the version of KEDA.
// What the module cache lacks is downloaded.
func New(ctx context.Context, root string) (*Validator, error) {
	v := &Validator{
		compiler:  jsonschema.NewCompiler(),
		locations: map[string]string{},
		compiled:  map[string]*jsonschema.Schema{},
	}
	// OpenAPI 3.0 is a dialect of draft 4: exclusiveMinimum is true or false there, and the
	// neighbours of a $ref are ignored.
	v.compiler.DefaultDraft(jsonschema.Draft4)
	kubernetes, err := download(ctx, kubernetesModule, kubernetesVersion)
	if err != nil {
		return nil, err
	}
	for _, file := range []string{
		"api__v1", "apis__apps__v1", "apis__policy__v1", "apis__networking.k8s.io__v1",
		"apis__autoscaling__v2", "apis__rbac.authorization.k8s.io__v1", "apis__apiextensions.k8s.io__v1",
	} {
		if err := v.addOpenAPI(filepath.Join(kubernetes, "api", "openapi-spec", "v3", file+"_openapi.json")); err != nil {
			return nil, err
		}
	}
	operator, err := download(ctx, prometheusOperatorModule, prometheusOperatorVersion)
	if err != nil {
		return nil, err
	}
	version, err := kedaVersion(ctx, root)
	if err != nil {
		return nil, err
	}
	keda, err := download(ctx, kedaModule, version)
	if err != nil {
		return nil, err
	}
	for _, file := range []string{
		filepath.Join(operator, "example", "prometheus-operator-crd", "monitoring.coreos.com_servicemonitors.yaml"),
		filepath.Join(operator, "example", "prometheus-operator-crd", "monitoring.coreos.com_prometheusrules.yaml"),
		filepath.Join(keda, "config", "crd", "bases", "keda.sh_scaledobjects.yaml"),
		filepath.Join(keda, "config", "crd", "bases", "keda.sh_triggerauthentications.yaml"),
		filepath.Join(keda, "config", "crd", "bases", "keda.sh_scaledjobs.yaml"),
		filepath.Join(root, "deploy", "keda", "chart", "policies", "backlog-scaler.github.io_autoscalerpolicies.yaml"),
	} {
		if err := v.addDefinition(file); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// Validate checks one object. The error names every fault and its place.
func (v *Validator) Validate(object map[string]any) error {
	apiVersion, _ := object["apiVersion"].(string)
	kind, _ := object["kind"].(string)
	key := apiVersion + " " + kind
	schema, err := v.schema(key)
	if err != nil {
		return err
	}
	instance, err := roundTrip(object)
	if err != nil {
		return err
	}
	if err := schema.Validate(instance); err != nil {
		return fmt.Errorf("validate %s: %w", key, err)
	}
	return nil
}

func (v *Validator) schema(key string) (*jsonschema.Schema, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if schema, ok := v.compiled[key]; ok {
		return schema, nil
	}
	location, ok := v.locations[key]
	if !ok {
		return nil, fmt.Errorf("find schema of %q: no document has this kind", key)
	}
	schema, err := v.compiler.Compile(location)
	if err != nil {
		return nil, fmt.Errorf("compile schema of %q: %w", key, err)
	}
	v.compiled[key] = schema
	return schema, nil
}

// addOpenAPI adds the kinds of one API group from Kubernetes' OpenAPI document.
func (v *Validator) addOpenAPI(file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read schemas of Kubernetes: %w", err)
	}
	var document struct {
		Components struct {
			Schemas map[string]map[string]any `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(data, &document); err != nil {
		return fmt.Errorf("parse %s: %w", file, err)
	}
	url := "kube:///" + path.Base(filepath.ToSlash(file))
	for name, schema := range document.Components.Schemas {
		tighten(schema)
		kinds, _ := schema["x-kubernetes-group-version-kind"].([]any)
		for _, kind := range kinds {
			gvk, _ := kind.(map[string]any)
			apiVersion := strings.TrimPrefix(fmt.Sprintf("%v/%v", gvk["group"], gvk["version"]), "/")
			v.locations[fmt.Sprintf("%s %v", apiVersion, gvk["kind"])] = url + "#/components/schemas/" + name
		}
	}
	instance, err := roundTrip(map[string]any{"components": document.Components})
	if err != nil {
		return err
	}
	if err := v.compiler.AddResource(url, instance); err != nil {
		return fmt.Errorf("add %s: %w", file, err)
	}
	return nil
}

// addDefinition adds the kind of one CustomResourceDefinition in all its versions.
func (v *Validator) addDefinition(file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read custom resource definition: %w", err)
	}
	var definition struct {
		Spec struct {
			Group string
			Names struct{ Kind string }

			Versions []struct {
				Name   string
				Schema struct {
					OpenAPIV3Schema map[string]any `json:"openAPIV3Schema"`
				}
			}
		}
	}
	if err := yaml.Unmarshal(data, &definition); err != nil {
		return fmt.Errorf("parse %s: %w", file, err)
	}
	spec := definition.Spec
	if len(spec.Versions) == 0 {
		return fmt.Errorf("parse %s: %w", file, errors.New("no versions"))
	}
	for _, version := range spec.Versions {
		schema := version.Schema.OpenAPIV3Schema
		tighten(schema)
		if properties, ok := schema["properties"].(map[string]any); ok {
			properties["metadata"] = map[string]any{"$ref": objectMeta}
		}
		instance, err := roundTrip(schema)
		if err != nil {
			return err
		}
		url := fmt.Sprintf("kube:///%s/%s/%s", spec.Group, version.Name, spec.Names.Kind)
		if err := v.compiler.AddResource(url, instance); err != nil {
			return fmt.Errorf("add %s: %w", file, err)
		}
		v.locations[fmt.Sprintf("%s/%s %s", spec.Group, version.Name, spec.Names.Kind)] = url
	}
	return nil
}

// tighten makes unknown fields errors, as the API server's strict field validation does, and says
// OpenAPI's nullable in JSON Schema's words. A duration of Kubernetes is one of Go, and none of ISO
// 8601.
func tighten(schema map[string]any) {
	if schema["format"] == "duration" {
		delete(schema, "format")
	}
	properties, _ := schema["properties"].(map[string]any)
	_, open := schema["additionalProperties"]
	preserved, _ := schema["x-kubernetes-preserve-unknown-fields"].(bool)
	if len(properties) > 0 && !open && !preserved {
		schema["additionalProperties"] = false
	}
	if nullable, _ := schema["nullable"].(bool); nullable {
		if kind, ok := schema["type"].(string); ok {
			schema["type"] = []any{kind, "null"}
		}
	}
	children := make([]any, 0, len(properties)+2)
	for _, property := range properties {
		children = append(children, property)
	}
	children = slices.Concat(children, []any{schema["items"], schema["additionalProperties"]})
	for _, child := range children {
		if child, ok := child.(map[string]any); ok {
			tighten(child)
		}
	}
}

// roundTrip gives a value the types that the validator knows.
func roundTrip(value any) (any, error) {
	data, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("encode as JSON: %w", err)
	}
	instance, err := jsonschema.UnmarshalJSON(strings.NewReader(string(data)))
	if err != nil {
		return nil, fmt.Errorf("decode JSON: %w", err)
	}
	return instance, nil
}
