package reference

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/engines"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/tlsconfig/tlstest"
	"github.com/backlog-scaler/backlog-scaler/internal/config"
	"github.com/backlog-scaler/backlog-scaler/internal/policycheck"
	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

// A scaledObject is what the tests want to know of a ScaledObject.
type scaledObject struct {
	Kind     string `yaml:"kind"`
	Metadata struct {
		Namespace string `yaml:"namespace"`
	} `yaml:"metadata"`
	Spec struct {
		Triggers []scaledTrigger `yaml:"triggers"`
	} `yaml:"spec"`
}

type scaledTrigger struct {
	Type     string               `yaml:"type"`
	Metadata map[string]yaml.Node `yaml:"metadata"`
}

// metadata is what KEDA sends.
func (t scaledTrigger) metadata() map[string]string {
	metadata := map[string]string{}
	for key, value := range t.Metadata {
		metadata[key] = value.Value
	}
	return metadata
}

// check parses the trigger as the scaler does.
func (t scaledTrigger) check(catalog *trigger.Catalog, namespace string) error {
	if t.Type != "external-push" && t.Type != "external" {
		return nil
	}
	for key, value := range t.Metadata {
		if value.Tag != "!!str" {
			return fmt.Errorf("%s: KEDA takes text only, write it in quotes", key)
		}
	}
	if t.Metadata["scalerAddress"].Value == "" {
		return errors.New("scalerAddress is missing")
	}
	_, err := catalog.Parse(namespace, t.metadata())
	return err
}

// catalog knows the connections that examples name.
func catalog(t *testing.T) *trigger.Catalog {
	t.Helper()
	return trigger.NewCatalog(exampleConnections(t), engines.All()).WithPolicies()
}

// measuring are the connections to other engines, which examples name and no command uses.
const measuring = `
  rails:
    engine: postgresql
    namespaces: ["shop"]
    addresses: ["postgresql.example.com:5432"]
    database: shop
    username: backlog-scaler
    allowQueries: true
  laravel:
    engine: mysql
    namespaces: ["shop"]
    address: mysql.example.com:3306
    database: shop
    username: backlog-scaler
    allowQueries: true
  metrics:
    engine: prometheus
    namespaces: ["shop"]
    url: http://metrics.example.com:9090
  calendar:
    engine: http
    namespaces: ["shop"]
    url: http://calendar.example.com
  rabbitmq: {engine: rabbitmq, namespaces: ["shop"], addresses: ["rabbitmq.example.com:5672"], username: scaler, password: {env: RABBITMQ_PASSWORD}, streamAddresses: ["rabbitmq.example.com:5552"], managementURL: "http://rabbitmq.example.com:15672", allowTap: true}
  aws: {engine: sqs, namespaces: ["shop"], region: eu-central-1, roleARN: "arn:aws:iam::123456789012:role/backlog-scaler"}
  nats: {engine: jetstream, namespaces: ["shop"], addresses: ["nats.example.com:4222"], username: scaler, password: {env: NATS_PASSWORD}}
  logs: {engine: logs, server: victorialogs, namespaces: ["shop"], url: "http://logs.example.com:9428"}
  kafka: {engine: kafka, namespaces: ["shop"], addresses: ["kafka.example.com:9092"]}
  loki: {engine: logs, server: loki, namespaces: ["shop"], url: "http://loki.example.com:3100"}
  elastic: {engine: logs, server: elasticsearch, namespaces: ["shop"], url: "https://elastic.example.com:9200"}
  opensearch: {engine: logs, server: opensearch, namespaces: ["shop"], url: "https://opensearch.example.com:9200"}
`

// exampleConnections are those that examples name.
func exampleConnections(t *testing.T) []backlog.Connection {
	t.Helper()
	parsed, err := config.Parse([]byte(connections("127.0.0.1:6379")+measuring), engines.All(), nil, func(string) (string, bool) { return "secret", true })
	if err != nil {
		t.Fatal(err)
	}
	return parsed.Connections
}

// TestExamples parses every trigger of deploy/keda/examples, and wants one for each layout.
func TestExamples(t *testing.T) {
	t.Parallel()
	known := catalog(t)
	paths, err := filepath.Glob(filepath.Join(root, exampleFiles))
	if err != nil {
		t.Fatal(err)
	}
	paths = append(paths, filepath.Join(root, "examples", "worker", "worker.yaml"))
	paths = append(paths, policyExamples(t)...)
	shown := map[[2]string]bool{}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, node := range nodes(t, path, data) {
			var object scaledObject
			if err := node.Decode(&object); err != nil {
				t.Errorf("%s: %v", path, err)
			}
			for i, one := range object.Spec.Triggers {
				engine, layout := layoutOf(t, one)
				shown[[2]string{engine, layout}] = true
				if err := one.check(known, object.Metadata.Namespace); err != nil {
					t.Errorf("%s: trigger %d: %v", path, i+1, err)
				}
			}
		}
	}
	for _, engine := range engines.All() {
		for _, l := range engine.Layouts {
			if !shown[[2]string{engine.Name, l.Name}] {
				t.Errorf("deploy/keda/examples has no example of %s on %s", l.Name, engine.Name)
			}
		}
	}
}

// nodes are the YAML documents of data.
func nodes(t *testing.T, place string, data []byte) []*yaml.Node {
	t.Helper()
	var all []*yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var node yaml.Node
		err := decoder.Decode(&node)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Errorf("%s: %v", place, err)
			return all
		}
		all = append(all, &node)
	}
}

// TestYAML parses every example in the documents as its reader would.
func TestYAML(t *testing.T) {
	t.Parallel()
	checker := newChecker(t)
	for _, d := range own(t) {
		for _, fence := range d.fences {
			for _, text := range HereDocuments(fence.Text, "YAML") {
				for _, node := range nodes(t, d.at(fence), []byte(text)) {
					if err := checker.check(node); err != nil {
						t.Errorf("%s: %v", d.at(fence), err)
					}
				}
			}
			if fence.Language != "yaml" {
				continue
			}
			for _, node := range nodes(t, d.at(fence), []byte(fence.Text)) {
				err := checker.check(node)
				if broken := strings.HasPrefix(fence.Text, "# "+brokenFile); broken != (err != nil) {
					t.Errorf("%s: parsed with error %v, meant to be broken: %t", d.at(fence), err, broken)
				}
			}
		}
	}
}

// brokenFile names a configuration in the documents that shows mistakes.
const brokenFile = "broken.yaml"

// A checker knows what kinds of YAML the documents show.
type checker struct {
	catalog  *trigger.Catalog
	policies *policycheck.Checker
	// values are the keys of the chart's values.
	values map[string]any
	// files are those that configurations name.
	certificates *tlstest.Certificates
}

func newChecker(t *testing.T) checker {
	t.Helper()
	c := checker{catalog: catalog(t), certificates: redistest.Start(t, redistest.WithTLS()).Certificates()}
	if err := yaml.Unmarshal([]byte(read(t, "deploy/keda/chart/values.yaml")), &c.values); err != nil {
		t.Fatal(err)
	}
	var err error
	if c.policies, err = policycheck.New(engines.All(), c.catalog, "shop"); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c checker) check(node *yaml.Node) error {
	var triggers []scaledTrigger
	if node.Content[0].Kind == yaml.SequenceNode {
		if err := node.Decode(&triggers); err != nil {
			return err
		}
		return c.triggers(triggers, "shop")
	}
	var content map[string]yaml.Node
	if err := node.Decode(&content); err != nil {
		return err
	}
	switch {
	case content["kind"].Value == "AutoscalerPolicy":
		return c.policy(node)
	case slices.Contains([]string{"ScaledObject", "ScaledJob"}, content["kind"].Value):
		var object scaledObject
		if err := node.Decode(&object); err != nil {
			return err
		}
		if len(object.Spec.Triggers) == 0 {
			return fmt.Errorf("a %s without triggers", content["kind"].Value)
		}
		return c.triggers(object.Spec.Triggers, object.Metadata.Namespace)
	case slices.Contains([]string{"TriggerAuthentication", "Deployment", "HorizontalPodAutoscaler", "Role", "Application"}, content["kind"].Value):
		return nil
	case has(content, "connections"):
		return c.configuration(content)
	case has(content, "rules"), has(content, "externalRules"), has(content, "scrape_configs"), has(content, "steps"):
		return nil // of Prometheus and its adapter, and of a workflow
	default:
		return c.chartValues(content)
	}
}

// policy checks an AutoscalerPolicy as "scaler policy check" does, with the connections.
func (c checker) policy(node *yaml.Node) error {
	data, err := yaml.Marshal(node)
	if err != nil {
		return err
	}
	file, err := c.policies.Check(data)
	if err != nil {
		return err
	}
	var errs []error
	for i := range file.Policies {
		for _, mistake := range file.Policies[i].Mistakes {
			errs = append(errs, errors.New(mistake.Text))
		}
	}
	return errors.Join(errs...)
}

func has(content map[string]yaml.Node, key string) bool {
	_, found := content[key]
	return found
}

func (c checker) triggers(triggers []scaledTrigger, namespace string) error {
	for _, one := range triggers {
		if err := one.check(c.catalog, namespace); err != nil {
			return err
		}
	}
	return nil
}

// configuration parses a configuration file, or the connections of the chart's values.
func (c checker) configuration(content map[string]yaml.Node) error {
	node := content["connections"]
	data, err := yaml.Marshal(map[string]*yaml.Node{"connections": &node})
	if err != nil {
		return err
	}
	if _, err := config.Parse(data, engines.All(), c.file, variable); err != nil {
		return err
	}
	delete(content, "connections")
	return c.chartValues(content)
}

func (c checker) chartValues(content map[string]yaml.Node) error {
	for key := range content {
		if _, known := c.values[key]; !known {
			return fmt.Errorf("%q is neither of a configuration nor of the chart's values (%s)",
				key, strings.Join(slices.Sorted(maps.Keys(c.values)), ", "))
		}
	}
	return nil
}

// file is the content of a file that an example names.
func (c checker) file(name string) ([]byte, error) {
	switch filepath.Base(name) {
	case "ca.crt":
		return c.certificates.CA.Data, nil
	case "tls.crt":
		return c.certificates.Cert.Data, nil
	case "tls.key":
		return c.certificates.Key.Data, nil
	default:
		return []byte("a password\n"), nil
	}
}

func variable(string) (string, bool) { return "a password", true }
