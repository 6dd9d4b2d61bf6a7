package schema

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/backlog-scaler/backlog-scaler/internal/spelling"
)

// A Mistake is one mistake in an object.
type Mistake struct {
	// Path is the place in the object, such as spec.schedules[night].timeZone. Items of lists with
	// names have their name.
	Path string
	// Line is the line in the file.
	Line int
	// Value is the text of the wrong value, quoted where it is text; empty where there is none to
	// show.
	Value string
	// Want is what is allowed.
	Want string
	// Firm reports that nothing else is to be said of the value at Path: it may have been left out
	// of the object.
	Firm bool
	// Fields are those that a rule about several fields of the value at Path is about.
	Fields []string
}

// A Result is an object that was checked.
type Result struct {
	// Object has the defaults. Values of a wrong type are left out, unless it is clear what they mean.
	Object   map[string]any
	Mistakes []Mistake
	// Lines are those of every path that was written.
	Lines map[string]int
}

// Check checks one object. It does not look into metadata and status.
func (s *Schema) Check(document *yaml.Node) Result {
	c := checker{result: Result{Lines: make(map[string]int)}}
	root := *s.root
	root.Properties = maps.Clone(root.Properties)
	root.Properties["metadata"] = &node{Type: "object", Additional: &node{}}
	root.Properties["status"] = &node{}
	value, _ := c.value(&root, document, "")
	c.result.Object, _ = value.(map[string]any)
	return c.result
}

// A checker checks one object.
type checker struct{ result Result }

// firm notes a mistake next to which nothing else is to be said of the value.
func (c *checker) firm(path string, line int, value, want string) {
	c.result.Mistakes = append(c.result.Mistakes, Mistake{Path: path, Line: line, Value: value, Want: want, Firm: true})
}

// soft notes a mistake that another check may describe better.
func (c *checker) soft(path string, line int, value, want string) {
	c.result.Mistakes = append(c.result.Mistakes, Mistake{Path: path, Line: line, Value: value, Want: want})
}

// value checks a value and returns it; false if there is none, or none of the right type. As for an
// API server, null is no value.
func (c *checker) value(n *node, y *yaml.Node, path string) (any, bool) {
	y = resolved(y)
	if y.Tag == "!!null" && y.Kind == yaml.ScalarNode {
		return nil, false
	}
	before := len(c.result.Mistakes)
	var value any
	var ok bool
	switch n.Type {
	case "object":
		value, ok = c.object(n, y, path)
	case "array":
		value, ok = c.array(n, y, path)
	case "string":
		value, ok = c.text(n, y, path)
	case "integer":
		value, ok = c.integer(n, y, path)
	default: // of any type
		return nil, false
	}
	// An API server does not evaluate rules over values that are wrong otherwise.
	if ok && before == len(c.result.Mistakes) {
		c.rules(n, y, value, path)
	}
	return value, ok
}

// rules notes the rules with which a value does not comply.
func (c *checker) rules(n *node, y *yaml.Node, value any, path string) {
	for i := range n.Validations {
		v := &n.Validations[i]
		if v.repeated.holds(value) {
			continue
		}
		m := Mistake{Path: path, Line: y.Line, Want: v.Message, Fields: v.repeated.fields}
		if y.Kind == yaml.ScalarNode {
			m.Value = shown(y)
		}
		c.result.Mistakes = append(c.result.Mistakes, m)
	}
}

func (c *checker) object(n *node, y *yaml.Node, path string) (any, bool) {
	if y.Kind != yaml.MappingNode {
		c.firm(path, y.Line, shown(y), "want keys with values")
		return nil, false
	}
	fields := make(map[string]any)
	written := make(map[string]bool)
	for _, p := range pairs(y) {
		name := p.key.Value
		place := join(path, name)
		child := n.Properties[name]
		if child == nil {
			child = n.Additional
		}
		switch {
		case written[name]:
			c.firm(place, p.key.Line, "", "written twice, want it once")
			continue
		case child == nil:
			c.firm(place, p.key.Line, "", "unknown field"+meant(name, slices.Sorted(maps.Keys(n.Properties))))
			continue
		}
		written[name] = true
		c.result.Lines[place] = p.key.Line
		if value, ok := c.value(child, p.value, place); ok {
			fields[name] = value
		}
	}
	c.complete(n, fields, path, y.Line)
	c.size(path, y.Line, int64(len(fields)), n.MinProperties, n.MaxProperties, "keys")
	return fields, true
}

// complete fills in the defaults, and notes what is required and missing.
func (c *checker) complete(n *node, fields map[string]any, path string, line int) {
	for name, property := range n.Properties {
		if _, has := fields[name]; has || property.Default == nil {
			continue
		}
		fields[name] = property.Default
		if number, ok := property.Default.(int); ok {
			fields[name] = int64(number)
		}
	}
	for _, name := range n.Required {
		place := join(path, name)
		isWrong := func(m Mistake) bool { return m.Path == place && m.Firm }
		if _, has := fields[name]; !has && !slices.ContainsFunc(c.result.Mistakes, isWrong) {
			c.firm(place, line, "", "missing; "+n.Properties[name].about())
		}
	}
}

func (c *checker) array(n *node, y *yaml.Node, path string) (any, bool) {
	if y.Kind != yaml.SequenceNode {
		c.firm(path, y.Line, shown(y), "want a list")
		return nil, false
	}
	items := make([]any, 0, len(y.Content))
	names := make(map[string]bool)
	for i, item := range y.Content {
		name, named := nameOf(n, item)
		if !named {
			name = strconv.Itoa(i)
		}
		place := path + "[" + name + "]"
		if names[name] {
			c.firm(join(place, "name"), item.Line, "", "an earlier item has the same name, want another")
			continue
		}
		names[name] = true
		c.result.Lines[place] = item.Line
		if value, ok := c.value(n.Items, item, place); ok {
			items = append(items, value)
		}
	}
	c.size(path, y.Line, int64(len(y.Content)), n.MinItems, n.MaxItems, "items")
	return items, true
}

// nameOf returns the key that distinguishes an item; false if it has none.
func nameOf(n *node, item *yaml.Node) (string, bool) {
	if len(n.ListMapKeys) != 1 || resolved(item).Kind != yaml.MappingNode {
		return "", false
	}
	for _, p := range pairs(resolved(item)) {
		if p.key.Value == n.ListMapKeys[0] && p.value.Kind == yaml.ScalarNode {
			return p.value.Value, true
		}
	}
	return "", false
}

func (c *checker) size(path string, line int, size int64, least, most *int64, what string) {
	switch {
	case least != nil && size < *least:
		c.soft(path, line, "", fmt.Sprintf("%d %s, want %d or more", size, what, *least))
	case most != nil && size > *most:
		c.soft(path, line, "", fmt.Sprintf("%d %s, want at most %d", size, what, *most))
	}
}

// meant asks whether the nearest known name was meant, and lists all of them if none is near.
func meant(name string, known []string) string {
	if near := spelling.Nearest(name, known); near != "" {
		return "; did you mean " + near + "?"
	}
	return ", want one of " + strings.Join(known, ", ")
}

func join(path, field string) string {
	if path == "" {
		return field
	}
	return path + "." + field
}
