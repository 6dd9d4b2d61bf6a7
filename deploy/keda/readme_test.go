package keda

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// The values table of the README stands between these lines.
const (
	tableBegin = "<!-- values: written by `go test ./keda -update` -->\n"
	tableEnd   = "<!-- end of values -->\n"
)

// A value of values.yaml.
type value struct {
	path, doc, fallback string
}

// readTable reads values.yaml: every key whose comment begins with "--" is a value, and every other
// mapping is a group of values.
func readTable(t *testing.T) []value {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("chart", "values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var root yaml.Node
	if err := yaml.Unmarshal(data, &root); err != nil {
		t.Fatal(err)
	}
	return collect(t, "", root.Content[0])
}

func collect(t *testing.T, prefix string, node *yaml.Node) []value {
	t.Helper()
	var values []value
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, content := node.Content[i], node.Content[i+1]
		path := prefix + key.Value
		_, doc, documented := strings.Cut(key.HeadComment, "# -- ")
		switch {
		case documented:
			text := strings.ReplaceAll(doc, "\n# ", " ")
			values = append(values, value{path: path, doc: text, fallback: inline(t, content)})
		case content.Kind == yaml.MappingNode:
			values = append(values, collect(t, path+".", content)...)
		case strings.HasPrefix(prefix, "probes."):
			values = append(values, value{path: path, doc: "As in Kubernetes.", fallback: inline(t, content)})
		default:
			t.Errorf("values.yaml: %s has no comment that begins with \"-- \"", path)
		}
	}
	return values
}

// inline writes a value on one line, as JSON.
func inline(t *testing.T, node *yaml.Node) string {
	t.Helper()
	var content any
	if err := node.Decode(&content); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(content)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestReadmeTable holds the README's table against values.yaml. `go test ./keda -update` writes it.
func TestReadmeTable(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := strings.Cut(string(data), tableBegin)
	got, after, ends := strings.Cut(rest, tableEnd)
	if !begins || !ends {
		t.Fatal("README.md has no place for the values")
	}
	var table strings.Builder
	table.WriteString("| value | default | what it is |\n| --- | --- | --- |\n")
	for _, v := range readTable(t) {
		fmt.Fprintf(&table, "| `%s` | `%s` | %s |\n", v.path, v.fallback, v.doc)
	}
	if *update {
		if err := os.WriteFile("README.md", []byte(before+tableBegin+table.String()+tableEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if table.String() != got {
		t.Error("the values table of README.md is not that of values.yaml; `go test ./keda -update` writes it")
	}
}

// TestSchemaKnowsValues checks that the schema describes every value of values.yaml and no other, and that
// no object of the chart's own is left open.
func TestSchemaKnowsValues(t *testing.T) {
	t.Parallel()
	chart := loadChart(t)
	var schema map[string]any
	if err := json.Unmarshal(chart.Schema(), &schema); err != nil {
		t.Fatal(err)
	}
	definitions, _ := schema["$defs"].(map[string]any)
	compareKeys(t, "", schema, definitions, chart.Values())
}

func compareKeys(t *testing.T, path string, schema, definitions, values map[string]any) {
	t.Helper()
	if reference, ok := schema["$ref"].(string); ok {
		schema, _ = definitions[strings.TrimPrefix(reference, "#/$defs/")].(map[string]any)
	}
	properties, closed := schema["properties"].(map[string]any)
	if !closed {
		return // a free map, such as labels
	}
	if schema["additionalProperties"] != false {
		t.Errorf("schema of %q: unknown keys are allowed", path)
	}
	for key := range properties {
		if _, ok := values[key]; !ok && !slices.Contains([]string{"global"}, key) {
			t.Errorf("the schema has %s%s, values.yaml does not", path, key)
		}
	}
	for key, content := range values {
		property, ok := properties[key].(map[string]any)
		if !ok {
			t.Errorf("values.yaml has %s%s, the schema does not", path, key)
			continue
		}
		if group, ok := content.(map[string]any); ok {
			compareKeys(t, path+key+".", property, definitions, group)
		}
	}
}
