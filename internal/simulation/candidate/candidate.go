// Package candidate reads ScaledObjects and AutoscalerPolicies from YAML, as candidates of a
// simulation.
package candidate

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/hpa"
	"github.com/backlog-scaler/backlog-scaler/internal/policies"
	"github.com/backlog-scaler/backlog-scaler/internal/policycheck"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation"
	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

// DefaultNotice is how long it takes until the scaler has noticed work in an idle queue, where the
// engine notifies of changes: docs/performance.md has the measurement.
const DefaultNotice = 50 * time.Millisecond

// defaultStaleness is that of the server: the default of --max-staleness.
const defaultStaleness = 30 * time.Second

// maxObjects bounds the candidates of a file.
const maxObjects = 32

// A Reader reads candidates. It is not safe for concurrent use.
type Reader struct {
	// Engines are those of the scaler.
	Engines []backlog.Engine
	// Catalog has the connections of a configuration; nil if there is none.
	Catalog *trigger.Catalog
	// Notice is how long it takes until the scaler has noticed work in an idle queue.
	Notice time.Duration

	// checker checks policies; nil before the first file.
	checker *policycheck.Checker
}

// A Candidate is one ScaledObject of a file.
type Candidate struct {
	simulation.Candidate

	// Notes are remarks on what the simulation leaves out.
	Notes []string
	// Namespace is that of the ScaledObject, and ObjectName its name.
	Namespace, ObjectName string
	// Document is the YAML of the ScaledObject, for what changes it.
	Document *yaml.Node
	// Policy is the AutoscalerPolicy that the only trigger names, and PolicyDocument its YAML; nil if it
	// names none.
	Policy         *policies.Policy
	PolicyDocument *yaml.Node
}

// objects are those of a file.
type objects struct {
	scaled []*yaml.Node
	// policies are the YAML of AutoscalerPolicies, and found what they were checked to be.
	policies []*yaml.Node
	found    []policycheck.Policy
}

// Read reads the ScaledObjects of a file, and the AutoscalerPolicies that their triggers name. name
// is that of the file, which becomes that of its only candidate. The error has the object, the field
// and what is allowed.
func (r *Reader) Read(name string, data []byte) ([]Candidate, error) {
	if r.checker == nil {
		checker, err := policycheck.New(r.Engines, r.Catalog, defaultNamespace)
		if err != nil {
			return nil, err
		}
		r.checker = checker
	}
	found, err := r.checker.Check(data)
	if err != nil {
		return nil, err
	}
	objects, err := documents(data)
	if err != nil {
		return nil, err
	}
	objects.found = found.Policies
	var candidates []Candidate
	for _, document := range objects.scaled {
		c, err := r.object(document, &objects)
		if err != nil {
			return nil, err
		}
		c.Name = name
		if len(objects.scaled) > 1 {
			c.Name = name + "/" + c.ObjectName
		}
		c.Name = backlog.Line(c.Name)
		candidates = append(candidates, c)
	}
	if len(candidates) == 0 {
		return nil, errors.New("no ScaledObject found, want one of kind ScaledObject with its triggers")
	}
	return candidates, nil
}

const defaultNamespace = "default"

// documents returns the objects of a file.
func documents(data []byte) (objects, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var found objects
	add := func(node *yaml.Node) {
		var head struct {
			Kind string `yaml:"kind"`
		}
		switch err := node.Decode(&head); {
		case err != nil:
		case head.Kind == "ScaledObject":
			found.scaled = append(found.scaled, node)
		case head.Kind == "AutoscalerPolicy":
			found.policies = append(found.policies, node)
		}
	}
	for {
		var document yaml.Node
		err := decoder.Decode(&document)
		switch {
		case errors.Is(err, io.EOF):
			return found, nil
		case err != nil:
			return objects{}, fmt.Errorf("parse YAML: %w", err)
		}
		root := document.Content[0]
		var list struct {
			Kind  string      `yaml:"kind"`
			Items []yaml.Node `yaml:"items"`
		}
		if root.Decode(&list) == nil && strings.HasSuffix(list.Kind, "List") {
			for i := range list.Items {
				add(&list.Items[i])
			}
		} else {
			add(root)
		}
		if len(found.scaled) > maxObjects {
			return objects{}, fmt.Errorf("more than %d ScaledObjects", maxObjects)
		}
	}
}

// object reads a ScaledObject.
func (r *Reader) object(document *yaml.Node, file *objects) (Candidate, error) {
	var object scaledObject
	if err := document.Decode(&object); err != nil {
		return Candidate{}, fmt.Errorf("line %d: parse the ScaledObject: %w", document.Line, err)
	}
	c := Candidate{Document: document, Namespace: cmp.Or(object.Metadata.Namespace, defaultNamespace), ObjectName: backlog.Line(object.Metadata.Name)}
	err := object.Spec.fill(&c)
	for i := range object.Spec.Triggers {
		if err != nil {
			break
		}
		t := &object.Spec.Triggers[i]
		var read simulation.Trigger
		if read, err = r.trigger(t, c.Namespace, file.found, &c.Notes); err != nil {
			err = fmt.Errorf("triggers[%d]: %w", i, err)
		}
		c.Triggers = append(c.Triggers, read)
	}
	if err == nil && len(c.Triggers) == 1 && c.Triggers[0].Policy != nil {
		c.Policy, c.PolicyDocument = file.policy(policies.Key{Namespace: c.Namespace, Name: object.Spec.Triggers[0].metadata()["policy"]})
	}
	if err != nil {
		return Candidate{}, fmt.Errorf("ScaledObject %s (line %d): %w", cmp.Or(c.ObjectName, "without a name"), document.Line, err)
	}
	return c, nil
}

// policy returns a policy of the file with its YAML. There has to be one.
func (o *objects) policy(key policies.Key) (*policies.Policy, *yaml.Node) {
	var plain *policies.Policy
	for i := range o.found {
		if o.found[i].Key == key {
			_, plain = o.found[i].Compiled()
		}
	}
	for _, document := range o.policies {
		var head struct {
			Metadata struct {
				Namespace string `yaml:"namespace"`
				Name      string `yaml:"name"`
			} `yaml:"metadata"`
		}
		if document.Decode(&head) == nil && head.Metadata.Name == key.Name && cmp.Or(head.Metadata.Namespace, defaultNamespace) == key.Namespace {
			return plain, document
		}
	}
	return nil, nil
}

// trigger reads a trigger.
func (r *Reader) trigger(t *triggerSpec, namespace string, found []policycheck.Policy, notes *[]string) (simulation.Trigger, error) {
	read := simulation.Trigger{Push: t.Type == "external-push"}
	switch t.MetricType {
	case "", "AverageValue":
	case "Value":
		read.Type = hpa.Value
	default:
		return read, fmt.Errorf("metricType %q: want AverageValue or Value", backlog.Line(t.MetricType))
	}
	if t.Type != "external" && t.Type != "external-push" {
		builtin, err := builtIn(t)
		read.BuiltIn = builtin
		return read, err
	}
	metadata := t.metadata()
	if name := metadata["policy"]; name != "" {
		var err error
		read.Policy, err = r.policy(policies.Key{Namespace: namespace, Name: name}, found, notes)
		return read, err
	}
	catalog := r.Catalog
	if catalog == nil {
		catalog, _ = policycheck.Assume(r.Engines, []policies.Signal{{Connection: metadata["connection"], Trigger: without(metadata, "connection")}})
	}
	parsed, err := catalog.Parse(namespace, metadata)
	if err != nil {
		return read, err
	}
	queue, err := r.queue(catalog, &parsed)
	read.Queue = queue
	return read, err
}

func without(metadata map[string]string, keys ...string) map[string]string {
	rest := maps.Clone(metadata)
	for _, key := range append(keys, "scalerAddress", "enableTLS", "unsafeSsl") {
		delete(rest, key)
	}
	return rest
}

// queue returns a queue as the scaler sees it.
func (r *Reader) queue(catalog *trigger.Catalog, parsed *trigger.Trigger) (*simulation.Queue, error) {
	layout, _ := catalog.Layout(parsed)
	if layout.Measures {
		return nil, fmt.Errorf("%s measures a number; a trace has messages, so want a trigger that counts them", parsed.Query.Layout)
	}
	q := &simulation.Queue{
		Spec: parsed.Policy, Hidden: layout.CountsInFlight(parsed.Query) != nil, HeldIsReady: layout.ReadyIncludesHeld,
		Counter: layout.CountsFinished(parsed.Query) == nil, Oldest: layout.Oldest != "", Notice: r.Notice,
	}
	if q.Spec.MaxStaleness == 0 {
		q.Spec.MaxStaleness = defaultStaleness
	}
	q.Window = q.Spec.Window()
	if q.Spec.Jobs != "" {
		return nil, errors.New("scaledJob: a ScaledJob is not simulated; want a trigger of a ScaledObject")
	}
	return q, nil
}
