package reference

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// The definitions of a JSON schema that those of connections refer to.
const (
	definitions   = "$defs"
	reference     = "$ref"
	toDefinition  = "#/$defs/"
	connection    = "connection"
	rulesOfEngine = "Rules"
)

// Schema returns a JSON schema of the chart's values with the definition "connection", and one for the
// connections of each engine. They follow from the settings of the engines. What settings do not say
// stands in the definition ENGINERules, which is kept, as is everything else.
func Schema(current []byte, engines []backlog.Engine) ([]byte, error) {
	// JSON is YAML, whose nodes keep their order.
	var document yaml.Node
	if err := yaml.Unmarshal(current, &document); err != nil {
		return nil, fmt.Errorf("parse schema: %w", err)
	}
	defs := member(document.Content[0], definitions)
	if defs == nil {
		return nil, fmt.Errorf("parse schema: it has no %s", definitions)
	}
	set(defs, connection, connectionSchema(engines))
	for _, engine := range engines {
		set(defs, engine.Name, engineSchema(engine, member(defs, engine.Name+rulesOfEngine) != nil))
	}
	var b strings.Builder
	if err := writeJSON(&b, document.Content[0], "\n"); err != nil {
		return nil, err
	}
	return []byte(b.String() + "\n"), nil
}

// connectionSchema returns the schema of a connection: that of its engine.
func connectionSchema(engines []backlog.Engine) *yaml.Node {
	names, choices := list(), list()
	for _, engine := range engines {
		names.Content = append(names.Content, text(engine.Name))
		isEngine := object("properties", object("engine", object("const", text(engine.Name))))
		choices.Content = append(choices.Content, object("if", isEngine, "then", refer(engine.Name)))
	}
	return object(
		"type", text("object"), "required", list("engine", "namespaces"),
		"properties", object("engine", object("enum", names)), "allOf", choices,
	)
}

// engineSchema returns the schema of the connections of an engine.
func engineSchema(engine backlog.Engine, hasRules bool) *yaml.Node {
	properties := object(
		"engine", object("const", text(engine.Name)), "namespaces", refer("namespaces"), "queues", refer("list"), "wakeToken", refer("secret"),
	)
	required := list("engine", "namespaces")
	for _, setting := range engine.Settings {
		set(properties, setting.Name, settingSchema(setting))
		if setting.Required {
			required.Content = append(required.Content, text(setting.Name))
		}
	}
	schema := object("type", text("object"), "additionalProperties", scalar("!!bool", "false"), "properties", properties, "required", required)
	if hasRules {
		set(schema, "allOf", &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{refer(engine.Name + rulesOfEngine)}})
	}
	return schema
}

// settingSchema returns the schema of a setting.
func settingSchema(p backlog.Parameter) *yaml.Node {
	switch p.Kind {
	case backlog.KindChoice:
		return object("enum", list(p.Allowed...))
	case backlog.KindList:
		return refer("list")
	case backlog.KindAddresses:
		return object("type", text("array"), "items", refer("address"), "minItems", number(1))
	case backlog.KindInteger:
		schema := object("type", text("integer"))
		if p.Max > p.Min {
			set(schema, "minimum", number(p.Min))
			set(schema, "maximum", number(p.Max))
		}
		return schema
	case backlog.KindNumber:
		return object("type", text("number"))
	case backlog.KindBool:
		return object("type", text("boolean"))
	case backlog.KindDuration:
		return refer("duration")
	case backlog.KindSecret:
		return refer("secret")
	default:
		return object("type", text("string"), "minLength", number(1))
	}
}

func refer(definition string) *yaml.Node { return object(reference, text(toDefinition+definition)) }

// object returns an object of names and values in turn. A name is a string, a value a node.
func object(members ...any) *yaml.Node {
	o := &yaml.Node{Kind: yaml.MappingNode}
	for i := 0; i+1 < len(members); i += 2 {
		name, _ := members[i].(string)
		value, _ := members[i+1].(*yaml.Node)
		set(o, name, value)
	}
	return o
}

func list(texts ...string) *yaml.Node {
	l := &yaml.Node{Kind: yaml.SequenceNode}
	for _, t := range texts {
		l.Content = append(l.Content, text(t))
	}
	return l
}

func text(value string) *yaml.Node { return scalar("!!str", value) }

func number(n int64) *yaml.Node { return scalar("!!int", strconv.FormatInt(n, 10)) }

func scalar(tag, value string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: value}
}

// member returns the value of a name in an object; nil if it has none.
func member(o *yaml.Node, name string) *yaml.Node {
	for i := 0; i+1 < len(o.Content); i += 2 {
		if o.Content[i].Value == name {
			return o.Content[i+1]
		}
	}
	return nil
}

// set sets the value of a name in an object, where it is or at the end.
func set(o *yaml.Node, name string, value *yaml.Node) {
	for i := 0; i+1 < len(o.Content); i += 2 {
		if o.Content[i].Value == name {
			o.Content[i+1] = value
			return
		}
	}
	o.Content = append(o.Content, text(name), value)
}

// writeJSON writes a node as indented JSON. newline ends a line and begins the next one.
func writeJSON(b *strings.Builder, n *yaml.Node, newline string) error {
	step, open, end := 1, "[", "]"
	switch n.Kind {
	case yaml.MappingNode:
		step, open, end = 2, "{", "}"
	case yaml.SequenceNode:
	default:
		return writeScalar(b, n)
	}
	b.WriteString(open)
	for i := 0; i < len(n.Content); i += step {
		if i > 0 {
			b.WriteString(",")
		}
		b.WriteString(newline + "  ")
		if step == 2 {
			if err := writeScalar(b, text(n.Content[i].Value)); err != nil {
				return err
			}
			b.WriteString(": ")
		}
		if err := writeJSON(b, n.Content[i+step-1], newline+"  "); err != nil {
			return err
		}
	}
	if len(n.Content) > 0 {
		b.WriteString(newline)
	}
	b.WriteString(end)
	return nil
}

// writeScalar writes a text, a number or a truth value.
func writeScalar(b *strings.Builder, n *yaml.Node) error {
	if n.Tag != "!!str" {
		b.WriteString(n.Value)
		return nil
	}
	var line bytes.Buffer
	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(n.Value); err != nil {
		return fmt.Errorf("write schema: %w", err)
	}
	b.WriteString(strings.TrimSuffix(line.String(), "\n"))
	return nil
}
