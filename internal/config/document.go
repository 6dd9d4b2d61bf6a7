package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// A document is the configuration as YAML nodes, with the faults found in it. Its methods
// record a fault and then return false.
type document struct {
	// file is the absolute path of the configuration; empty if there is none.
	file   string
	faults Faults
}

func (d *document) fault(node *yaml.Node, key, format string, args ...any) {
	d.faults = append(d.faults, Fault{
		File: d.file, Line: node.Line, Column: node.Column,
		Key: key, Problem: backlog.Redact(fmt.Sprintf(format, args...)),
	})
}

// place returns the place of node as a Fault prints it.
func (d *document) place(node *yaml.Node) string {
	return fmt.Sprintf("%s:%d:%d", d.file, node.Line, node.Column)
}

// root returns the only document in data.
func (d *document) root(data []byte) (*yaml.Node, bool) {
	var first, second yaml.Node
	data, err := backlog.UTF8(data)
	if err != nil {
		d.fault(&first, "", "the file %v", err)
		return nil, false
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	switch err := decoder.Decode(&first); {
	case errors.Is(err, io.EOF):
		d.fault(&first, "", `the file is empty, want at least "connections: {}"`)
		return nil, false
	case err != nil:
		d.syntax(err)
		return nil, false
	}
	switch err := decoder.Decode(&second); {
	case errors.Is(err, io.EOF):
		return first.Content[0], true
	case err != nil:
		d.syntax(err)
	default:
		d.fault(&second, "", "a second document begins here, want one document in the file")
	}
	return nil, false
}

var syntaxLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// syntax records a text that is not YAML. The library repeats no part of the text except the
// name of an unknown anchor, which may be a password that begins with "*". It may point to the
// line before.
func (d *document) syntax(err error) {
	text := err.Error()
	var at yaml.Node
	if match := syntaxLine.FindStringSubmatch(text); match != nil {
		text = text[len(match[0]):]
		if line, err := strconv.Atoi(match[1]); err == nil {
			at.Line = line
		}
	}
	if strings.HasPrefix(text, "unknown anchor") {
		text = `a "*" begins an alias, which is not supported; put a value that begins with it in quotes`
	}
	d.fault(&at, "", "not valid YAML: %s", text)
}

// An entry is a key of a mapping and its value.
type entry struct {
	name       string
	key, value *yaml.Node
}

// mapping returns the entries of node, which is at the path key, without those that have a
// fault of their own.
func (d *document) mapping(node *yaml.Node, key, want string) ([]entry, bool) {
	if !d.is(node, yaml.MappingNode, key, want) {
		return nil, false
	}
	lines := make(map[string]int)
	entries := make([]entry, 0, len(node.Content)/2)
	for i := 0; i+1 < len(node.Content); i += 2 {
		e := entry{key: node.Content[i], value: node.Content[i+1]}
		switch {
		case e.key.Tag == "!!merge":
			d.fault(e.key, key, "merging with << is not supported, write the keys out")
			continue
		case !d.is(e.key, yaml.ScalarNode, key, "a name as key"):
			continue
		}
		e.name = e.key.Value
		if line, found := lines[e.name]; found {
			d.fault(e.key, join(key, e.name), "the key is given twice, first in line %d", line)
			continue
		}
		lines[e.name] = e.key.Line
		entries = append(entries, e)
	}
	return entries, true
}

// scalar returns the text of node, which must not be empty.
func (d *document) scalar(node *yaml.Node, key, want string) (string, bool) {
	if !d.is(node, yaml.ScalarNode, key, want) {
		return "", false
	}
	if node.Value == "" {
		d.fault(node, key, "the value is empty, want %s", want)
		return "", false
	}
	if strings.Contains(node.Value, "${") {
		d.fault(node, key, "${...} is not replaced by anything here, want %s; "+
			"secrets alone can come from variables, with {env: NAME}", want)
		return "", false
	}
	return node.Value, true
}

// is reports whether node is of the kind and uses nothing that is not supported. A fault never
// contains the value, which may be a secret.
func (d *document) is(node *yaml.Node, kind yaml.Kind, key, want string) bool {
	switch {
	case node.Kind == yaml.AliasNode:
		d.fault(node, key, "an alias is not supported, want %s; write it out, "+
			`or put a value that begins with "*" in quotes`, want)
	case node.Style&yaml.TaggedStyle != 0:
		d.fault(node, key, `a tag is not supported, want %s; put a value that begins with "!" in quotes`, want)
	case node.Tag == "!!null":
		d.fault(node, key, "the value is missing, want %s", want)
	case node.Kind != kind:
		d.fault(node, key, "got %s, want %s", kindName(node.Kind), want)
	default:
		return true
	}
	return false
}

func kindName(kind yaml.Kind) string {
	switch kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.ScalarNode:
		return "a plain value"
	default:
		return "something else"
	}
}
