package schema

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A Schema is that of the objects of one kind and version. It is immutable.
type Schema struct {
	// Group, Version and Kind are those of the objects.
	Group, Version, Kind string

	root *node
}

// APIVersion returns that of the objects.
func (s *Schema) APIVersion() string { return s.Group + "/" + s.Version }

// A node is what the definition says of one value.
type node struct {
	Description string           `yaml:"description"`
	Type        string           `yaml:"type"`
	Format      string           `yaml:"format"`
	Properties  map[string]*node `yaml:"properties"`
	// Additional is what the values of an object with any keys are.
	Additional    *node    `yaml:"additionalProperties"`
	Items         *node    `yaml:"items"`
	Required      []string `yaml:"required"`
	Enum          []string `yaml:"enum"`
	Default       any      `yaml:"default"`
	Pattern       string   `yaml:"pattern"`
	Minimum       *int64   `yaml:"minimum"`
	Maximum       *int64   `yaml:"maximum"`
	MinLength     *int64   `yaml:"minLength"`
	MaxLength     *int64   `yaml:"maxLength"`
	MinItems      *int64   `yaml:"minItems"`
	MaxItems      *int64   `yaml:"maxItems"`
	MinProperties *int64   `yaml:"minProperties"`
	MaxProperties *int64   `yaml:"maxProperties"`
	// ListMapKeys are the keys that distinguish the items of a list.
	ListMapKeys []string     `yaml:"x-kubernetes-list-map-keys"`
	Validations []validation `yaml:"x-kubernetes-validations"`

	pattern *regexp.Regexp
}

// A validation is a rule in the Common Expression Language, and its repetition.
type validation struct {
	Rule    string `yaml:"rule"`
	Message string `yaml:"message"`

	repeated rule
}

// Parse returns the schema of a custom resource definition with one version.
func Parse(definition []byte) (*Schema, error) {
	var crd struct {
		Spec struct {
			Group string `yaml:"group"`
			Names struct {
				Kind string `yaml:"kind"`
			} `yaml:"names"`
			Versions []struct {
				Name   string `yaml:"name"`
				Schema struct {
					OpenAPIV3Schema *node `yaml:"openAPIV3Schema"`
				} `yaml:"schema"`
			} `yaml:"versions"`
		} `yaml:"spec"`
	}
	if err := yaml.Unmarshal(definition, &crd); err != nil {
		return nil, fmt.Errorf("parse the custom resource definition: %w", err)
	}
	if len(crd.Spec.Versions) != 1 || crd.Spec.Versions[0].Schema.OpenAPIV3Schema == nil {
		return nil, errors.New("parse the custom resource definition: want one version with a schema")
	}
	version := crd.Spec.Versions[0]
	s := &Schema{Group: crd.Spec.Group, Version: version.Name, Kind: crd.Spec.Names.Kind, root: version.Schema.OpenAPIV3Schema}
	if err := s.root.compile(rules()); err != nil {
		return nil, fmt.Errorf("parse the custom resource definition: %w", err)
	}
	return s, nil
}

// compile compiles the patterns, and finds the repetition of each rule. It leaves out rules about a
// change of an object, which say nothing of one object alone.
func (n *node) compile(known map[string]rule) error {
	if n == nil {
		return nil
	}
	var errs []error
	if n.Pattern != "" {
		var err error
		if n.pattern, err = regexp.Compile(n.Pattern); err != nil {
			errs = append(errs, fmt.Errorf("pattern %q: %w", n.Pattern, err))
		}
	}
	n.Validations = slices.DeleteFunc(n.Validations, func(v validation) bool { return strings.Contains(v.Rule, "oldSelf") })
	for i := range n.Validations {
		v := &n.Validations[i]
		if v.repeated = known[v.Rule]; v.repeated.holds == nil {
			errs = append(errs, fmt.Errorf("rule %q: want a repetition of it in Go", v.Rule))
		}
	}
	for _, property := range n.Properties {
		errs = append(errs, property.compile(known))
	}
	return errors.Join(append(errs, n.Additional.compile(known), n.Items.compile(known))...)
}

// about returns the first sentence of the description.
func (n *node) about() string {
	text := strings.Join(strings.Fields(n.Description), " ")
	if end := strings.Index(text, ". "); end >= 0 {
		text = text[:end]
	}
	return strings.TrimSuffix(text, ".")
}
