package manifest

import (
	"errors"
	"fmt"

	"go.yaml.in/yaml/v3"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// errTooLarge is a document whose aliases make it too large.
var errTooLarge = errors.New("too many values, or too deep, once the aliases are written out")

// An expander writes out aliases and merged keys.
type expander struct {
	left     int
	expanded bool
}

// expand returns a node without anchors, aliases and merged keys. It reports whether there were any.
func expand(node *yaml.Node) (*yaml.Node, bool, error) {
	e := &expander{left: maxNodes}
	result, err := e.node(node, 0)
	return result, e.expanded, err
}

func (e *expander) node(node *yaml.Node, depth int) (*yaml.Node, error) {
	e.left--
	if e.left < 0 || depth > maxDepth {
		return nil, errTooLarge
	}
	if node.Kind == yaml.AliasNode {
		e.expanded = true
		return e.node(node.Alias, depth+1)
	}
	plain := *node
	if plain.Anchor != "" {
		e.expanded, plain.Anchor = true, ""
	}
	plain.Content = nil
	if node.Kind == yaml.MappingNode {
		return &plain, e.mapping(node, &plain, depth)
	}
	for _, child := range node.Content {
		c, err := e.node(child, depth+1)
		if err != nil {
			return nil, err
		}
		plain.Content = append(plain.Content, c)
	}
	return &plain, nil
}

// mapping expands the keys of a mapping. Its own keys win over merged ones, and of these the first.
func (e *expander) mapping(node, into *yaml.Node, depth int) error {
	var merged []*yaml.Node
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, err := e.node(node.Content[i], depth+1)
		if err != nil {
			return err
		}
		value, err := e.node(node.Content[i+1], depth+1)
		if err != nil {
			return err
		}
		if key.Tag == "!!merge" {
			e.expanded = true
			merged = append(merged, value)
			continue
		}
		into.Content = append(into.Content, key, value)
	}
	for _, m := range merged {
		sources := []*yaml.Node{m}
		if m.Kind == yaml.SequenceNode {
			sources = m.Content
		}
		for _, source := range sources {
			for _, p := range pairs(source) {
				if field(into, p[0].Value) == nil {
					into.Content = append(into.Content, p[0], p[1])
				}
			}
		}
	}
	return nil
}

// duplicates reports the first key that a mapping has twice: programs differ in which one counts.
func duplicates(node *yaml.Node, at func(line int) string) error {
	if node.Kind == yaml.MappingNode {
		lines := map[string]int{}
		for _, p := range pairs(node) {
			if p[0].Kind != yaml.ScalarNode {
				return fmt.Errorf("%s: a key that is no name", at(p[0].Line))
			}
			if first, twice := lines[p[0].Value]; twice {
				return fmt.Errorf("%s: the key %q is given twice, first in line %d", at(p[0].Line), backlog.Line(p[0].Value), first)
			}
			lines[p[0].Value] = p[0].Line
		}
	}
	for _, child := range node.Content {
		if err := duplicates(child, at); err != nil {
			return err
		}
	}
	return nil
}
