package policycheck

import (
	"bytes"
	"cmp"
	_ "embed" // for the custom resource definition
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/backlog-scaler/backlog-scaler/api/v1alpha1"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/kube/conversion"
	"github.com/backlog-scaler/backlog-scaler/internal/policies"
	"github.com/backlog-scaler/backlog-scaler/internal/policies/runner"
	"github.com/backlog-scaler/backlog-scaler/internal/policy"
	"github.com/backlog-scaler/backlog-scaler/internal/policycheck/schema"
	"github.com/backlog-scaler/backlog-scaler/internal/spelling"
	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

// definition is the custom resource definition, as "make generate" writes it from api/v1alpha1.
//
//go:embed backlog-scaler.github.io_autoscalerpolicies.yaml
var definition []byte

// A Checker checks policies. It is immutable.
type Checker struct {
	schema    *schema.Schema
	engines   []backlog.Engine
	catalog   *trigger.Catalog
	namespace string
}

// New returns a Checker for signals of the engines. The catalog has the connections of a
// configuration; nil if there is none. The namespace is that of policies that name none.
func New(engines []backlog.Engine, catalog *trigger.Catalog, namespace string) (*Checker, error) {
	s, err := schema.Parse(definition)
	if err != nil {
		return nil, err
	}
	return &Checker{schema: s, engines: engines, catalog: catalog, namespace: namespace}, nil
}

// A File is what was found in a file.
type File struct {
	Policies []Policy
	// Others are the objects that were not checked.
	Others []Other
}

// A Policy is one that was checked.
type Policy struct {
	// Key is the namespace and the name.
	policies.Key
	// Line is where it begins.
	Line     int
	Mistakes []Mistake

	plain policies.Policy
	// compiled is nil if there are mistakes.
	compiled *policy.Policy
}

// Compiled returns the policy as it decides, with what it was compiled from; nil if there are
// mistakes.
func (p *Policy) Compiled() (*policy.Policy, *policies.Policy) { return p.compiled, &p.plain }

// A Mistake is one mistake in a policy.
type Mistake struct {
	Line int
	// Text has the field, its value and what is allowed.
	Text string
}

// An Other is an object of another kind.
type Other struct {
	Line int
	// Text is its kind and name.
	Text string
}

// Check checks all policies in YAML with any number of documents. The error is a file that is not
// YAML.
func (c *Checker) Check(data []byte) (File, error) {
	var file File
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var document yaml.Node
		err := decoder.Decode(&document)
		switch {
		case errors.Is(err, io.EOF):
			return file, nil
		case err != nil:
			return file, fmt.Errorf("parse YAML: %w", err)
		}
		file.add(c, document.Content[0], false)
	}
}

// add adds an object, or those of a list of objects. A list has no lists: an alias could make it its
// own item.
func (f *File) add(c *Checker, object *yaml.Node, listed bool) {
	var head struct {
		APIVersion string `yaml:"apiVersion"`
		Kind       string `yaml:"kind"`
		Metadata   struct {
			Namespace string `yaml:"namespace"`
			Name      string `yaml:"name"`
		} `yaml:"metadata"`
		Items []yaml.Node `yaml:"items"`
	}
	// What is of a wrong type is found by the schema.
	err := object.Decode(&head)
	group, _, _ := strings.Cut(head.APIVersion, "/")
	switch {
	case object.Tag == "!!null":
		return
	case strings.HasSuffix(head.Kind, "List") && err == nil && !listed:
		for i := range head.Items {
			f.add(c, &head.Items[i], true)
		}
		return
	case head.Kind != c.schema.Kind && group != c.schema.Group:
		f.Others = append(f.Others, Other{object.Line, strings.TrimSpace(describedKind(head.Kind) + " " + head.Metadata.Name)})
		return
	}
	p := Policy{Line: object.Line, Key: policies.Key{Namespace: head.Metadata.Namespace, Name: head.Metadata.Name}}
	if p.Namespace == "" {
		p.Namespace = c.namespace
	}
	result := c.schema.Check(object)
	p.Mistakes = c.check(&p, result, head.APIVersion, head.Kind)
	f.Policies = append(f.Policies, p)
}

// describedKind names a kind, and the one that may have been meant.
func describedKind(kind string) string {
	if near := spelling.Nearest(kind, []string{"AutoscalerPolicy"}); near != "" && kind != "" {
		return fmt.Sprintf("%s (did you mean %s?)", kind, near)
	}
	if kind == "" {
		return "an object without a kind"
	}
	return kind
}

// check checks the fields of a policy and completes it. It returns all mistakes.
func (c *Checker) check(p *Policy, result schema.Result, apiVersion, kind string) []Mistake {
	var found mistakes
	switch {
	case kind != c.schema.Kind:
		found.add(cmp.Or(result.Lines["kind"], p.Line), fmt.Sprintf("kind %q: want %s", kind, c.schema.Kind))
	case apiVersion != c.schema.APIVersion():
		found.add(cmp.Or(result.Lines["apiVersion"], p.Line), fmt.Sprintf("apiVersion %q: want %s", apiVersion, c.schema.APIVersion()))
	}
	if err := checkName(p.Name); err != nil {
		found.add(cmp.Or(result.Lines["metadata.name"], result.Lines["metadata"], p.Line), err.Error())
	}
	typed := v1alpha1.AutoscalerPolicy{}
	typed.Namespace, typed.Name = p.Namespace, p.Name
	spec, written := result.Object["spec"]
	if !written {
		found.merge(result, nil)
		return found.sorted()
	}
	data, err := json.Marshal(spec)
	if err == nil {
		err = json.Unmarshal(data, &typed.Spec)
	}
	if err != nil {
		found.add(result.Lines["spec"], fmt.Sprintf("spec: %v", err))
		return found.sorted()
	}
	p.plain = conversion.Policy(&typed)
	compiled, problems := runner.Compile(p.plain, c.catalogFor(&p.plain))
	found.merge(result, problems)
	if len(found) == 0 {
		p.compiled = compiled
	}
	return found.sorted()
}

func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("metadata.name: missing, want a name")
	case len(validation.IsDNS1123Subdomain(name)) > 0:
		return fmt.Errorf("metadata.name %q: want lower-case letters, digits, dashes and dots, a letter or digit at both ends", name)
	default:
		return nil
	}
}

// catalogFor returns the connections of a configuration. Without one it assumes those that the policy
// names.
func (c *Checker) catalogFor(p *policies.Policy) *trigger.Catalog {
	if c.catalog != nil {
		return c.catalog
	}
	catalog, _ := Assume(c.engines, p.Signals)
	return catalog
}

// Assume returns a catalogue without a configuration: a connection for each that signals name, to an
// engine that knows the keys of their triggers, so that these can be checked. The engines are those of
// the signals, in their order.
func Assume(all []backlog.Engine, signals []policies.Signal) (catalog *trigger.Catalog, names []string) {
	// What settings of connections decide is not known.
	engines := make([]backlog.Engine, 0, len(all))
	for _, engine := range all {
		layouts := make([]backlog.Layout, 0, len(engine.Layouts))
		for _, layout := range engine.Layouts {
			layout.CheckOn, layout.PerNamespace = nil, nil
			layouts = append(layouts, layout)
		}
		engine.Layouts = layouts
		engines = append(engines, engine)
	}
	var connections []backlog.Connection
	for i := range signals {
		s := &signals[i]
		names = append(names, engineOf(engines, s))
		connections = append(connections, backlog.Connection{Name: s.Connection, Engine: names[i], Namespaces: []string{"*"}})
	}
	return trigger.NewCatalog(connections, engines), names
}

// engineOf returns the engine that fits the trigger of a signal best: one that accepts it, else one
// that has the layout, else one with a layout of a similar name, else the first.
func engineOf(engines []backlog.Engine, s *policies.Signal) string {
	best, most := engines[0].Name, 0
	for _, engine := range engines {
		fit := 0
		for _, layout := range engine.Layouts {
			if _, has := s.Trigger[layout.Name]; has {
				fit = 2
				break
			}
			for key := range s.Trigger {
				if spelling.Nearest(key, []string{layout.Name}) != "" {
					fit = 1
				}
			}
		}
		if fit == 2 {
			known := trigger.NewCatalog([]backlog.Connection{{Name: s.Connection, Engine: engine.Name, Namespaces: []string{"*"}}}, engines)
			if _, err := known.ParseSignal("default", s.Connection, s.Trigger); err == nil {
				fit = 3
			}
		}
		if fit > most {
			best, most = engine.Name, fit
		}
	}
	return best
}
