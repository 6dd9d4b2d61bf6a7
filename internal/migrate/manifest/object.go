// Package manifest reads Kubernetes objects out of YAML and JSON, and writes changed triggers back with
// everything around them as it was.
package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// The bounds of an input.
const (
	// maxNodes bounds the values of a document once its aliases are written out.
	maxNodes = 200_000
	// maxDepth bounds how deep they lie in each other.
	maxDepth = 200
)

// An Object is an object of Kubernetes.
type Object struct {
	// File is the name of its file, and Line where it begins there.
	File string
	Line int
	// APIVersion, Kind, Namespace and Name are what it says of itself; each may be empty.
	APIVersion, Kind, Namespace, Name string

	node *yaml.Node
	// source is the text of the document; empty if the object is an item of a list, or has anchors, so
	// that it is written again as a whole.
	source string
	// offset is the number of lines of the file before the document.
	offset int
}

// Group returns the API group, such as "keda.sh"; empty for the core group.
func (o *Object) Group() string {
	group, _, found := strings.Cut(o.APIVersion, "/")
	if !found {
		return ""
	}
	return group
}

// Parse returns the objects of a file. The error says what could not be read; the objects before it are
// returned with it.
func Parse(file string, data []byte) ([]*Object, error) {
	data, err := backlog.UTF8(data)
	if err != nil {
		return nil, fmt.Errorf("read %s: the file %w", backlog.Line(file), err)
	}
	var all []*Object
	var faults []error
	for _, d := range split(string(data)) {
		objects, err := parse(file, d)
		all = append(all, objects...)
		faults = append(faults, err)
	}
	return all, errors.Join(faults...)
}

// A document is the text of one document of a file.
type document struct {
	text string
	// offset is the number of lines before it.
	offset int
}

// marker begins a document. The specification allows it nowhere else at the start of a line.
var marker = regexp.MustCompile(`^---(?:\s|$)`)

// split cuts a text into its documents.
func split(text string) []document {
	var all []document
	var current strings.Builder
	start, line := 0, 0
	for l := range strings.Lines(text) {
		if marker.MatchString(l) && current.Len() > 0 {
			all = append(all, document{current.String(), start})
			current.Reset()
			start = line
		}
		current.WriteString(l)
		line++
	}
	return append(all, document{current.String(), start})
}

// template says what a text with {{ is.
const template = "this is a template, and not YAML yet: render it first, as with helm template . | scaler migrate -"

func parse(file string, d document) ([]*Object, error) {
	at := func(line int) string { return fmt.Sprintf("%s:%d", backlog.Line(file), line+d.offset) }
	decoder := yaml.NewDecoder(strings.NewReader(d.text))
	var root, second yaml.Node
	switch err := decoder.Decode(&root); {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil && strings.Contains(d.text, "{{"):
		return nil, fmt.Errorf("%s: %s", at(1), template)
	case err != nil:
		return nil, fmt.Errorf("%s: not valid YAML: %s", at(1), hideAnchors(err.Error()))
	}
	if err := decoder.Decode(&second); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: text after the end of the document", at(1))
	}
	if len(root.Content) == 0 || root.Content[0].Tag == "!!null" {
		return nil, nil
	}
	node, expanded, err := expand(root.Content[0])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", at(root.Content[0].Line), err)
	}
	if err := duplicates(node, at); err != nil && strings.Contains(d.text, "{{") {
		return nil, fmt.Errorf("%s: %s", at(1), template)
	} else if err != nil {
		return nil, err
	}
	source := d.text
	if expanded {
		source = ""
	}
	return objects(file, node, source, d.offset), nil
}

// hideAnchors leaves out the name of an unknown anchor, which may be a value that begins with a star.
func hideAnchors(text string) string {
	text = strings.TrimPrefix(text, "yaml: ")
	if strings.Contains(text, "unknown anchor") {
		return `a "*" begins an alias; put a value that begins with it in quotes`
	}
	return backlog.Line(text)
}

// objects returns the object of a document, or those of a list.
func objects(file string, node *yaml.Node, source string, offset int) []*Object {
	if node.Kind != yaml.MappingNode {
		return nil
	}
	o := &Object{
		File: file, Line: node.Line + offset, node: node, source: source, offset: offset,
		APIVersion: text(node, "apiVersion"), Kind: text(node, "kind"), Namespace: text(node, "metadata", "namespace"), Name: text(node, "metadata", "name"),
	}
	items := field(node, "items")
	if !strings.HasSuffix(o.Kind, "List") || items == nil || items.Kind != yaml.SequenceNode {
		return []*Object{o}
	}
	var all []*Object
	for _, item := range items.Content {
		if item.Kind == yaml.MappingNode && !strings.HasSuffix(text(item, "kind"), "List") {
			all = append(all, objects(file, item, "", offset)...)
		}
	}
	return all
}

// field returns the value at a path of keys; nil if there is none.
func field(node *yaml.Node, path ...string) *yaml.Node {
	for _, key := range path {
		if node == nil || node.Kind != yaml.MappingNode {
			return nil
		}
		var next *yaml.Node
		for i := 0; i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == key {
				next = node.Content[i+1]
			}
		}
		node = next
	}
	return node
}

// text returns the scalar at a path of keys; empty if there is none.
func text(node *yaml.Node, path ...string) string {
	if n := field(node, path...); n != nil && n.Kind == yaml.ScalarNode && n.Tag != "!!null" {
		return n.Value
	}
	return ""
}

// list returns the elements of the sequence at a path of keys.
func list(node *yaml.Node, path ...string) []*yaml.Node {
	if n := field(node, path...); n != nil && n.Kind == yaml.SequenceNode {
		return n.Content
	}
	return nil
}

// pairs returns the keys and values of the mapping at a path of keys, in order.
func pairs(node *yaml.Node, path ...string) [][2]*yaml.Node {
	n := field(node, path...)
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	var all [][2]*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		all = append(all, [2]*yaml.Node{n.Content[i], n.Content[i+1]})
	}
	return all
}

// encode writes a node as YAML.
func encode(node *yaml.Node) (string, error) {
	var b bytes.Buffer
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	if err := encoder.Encode(node); err != nil {
		return "", fmt.Errorf("write YAML: %w", err)
	}
	if err := encoder.Close(); err != nil {
		return "", fmt.Errorf("write YAML: %w", err)
	}
	return b.String(), nil
}
