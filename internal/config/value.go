package config

import (
	"path/filepath"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// value parses the setting that parameter describes.
func (p *parser) value(node *yaml.Node, key string, parameter backlog.Parameter) (any, bool) {
	switch parameter.Kind {
	case backlog.KindSecret:
		return p.secret(node, key, parameter.Expects())
	case backlog.KindFile:
		return p.content(node, key, parameter.Expects())
	case backlog.KindList:
		items, ok := p.list(node, key, "a list, or "+parameter.Expects())
		texts := make([]string, len(items))
		for i, item := range items {
			texts[i] = item.text
		}
		return texts, ok
	case backlog.KindAddresses:
		return p.addresses(node, key, parameter.Expects())
	default:
		text, ok := p.scalar(node, key, parameter.Expects())
		if !ok {
			return nil, false
		}
		if backlog.HasUserInfo(text) {
			p.fault(node, key, "a URL with user information, want %s", parameter.Expects())
			return nil, false
		}
		value, err := parameter.Parse(text)
		if err != nil {
			p.fault(node, key, "got %s, %v", quote(text), err)
			return nil, false
		}
		return value, true
	}
}

// An item is an element of a list and its node.
type item struct {
	text string
	node *yaml.Node
}

// list parses a sequence of plain values, or one plain value with commas. It never returns an
// empty list.
func (p *parser) list(node *yaml.Node, key, want string) ([]item, bool) {
	var items []item
	if node.Kind == yaml.ScalarNode {
		text, ok := p.scalar(node, key, want)
		if !ok {
			return nil, false
		}
		for part := range strings.SplitSeq(text, ",") {
			items = append(items, item{text: strings.TrimSpace(part), node: node})
		}
	} else {
		if !p.is(node, yaml.SequenceNode, key, want) {
			return nil, false
		}
		before := len(p.faults)
		for _, element := range node.Content {
			if text, ok := p.scalar(element, key, want); ok {
				items = append(items, item{text: strings.TrimSpace(text), node: element})
			}
		}
		if len(p.faults) > before {
			return nil, false
		}
	}
	if len(items) == 0 {
		p.fault(node, key, "the list is empty, want %s", want)
		return nil, false
	}
	for _, item := range items {
		if item.text == "" {
			p.fault(item.node, key, "an element is empty, want %s", want)
			return nil, false
		}
	}
	return items, true
}

// addresses parses a list of "host:port".
func (p *parser) addresses(node *yaml.Node, key, want string) (any, bool) {
	if node.Kind == yaml.ScalarNode && strings.ContainsAny(node.Value, "@=") {
		// It may be a URL whose password has a comma.
		p.fault(node, key, "%v", backlog.CheckAddress(node.Value))
		return nil, false
	}
	items, ok := p.list(node, key, "a list, or "+want)
	if !ok {
		return nil, false
	}
	texts := make([]string, len(items))
	for i, item := range items {
		texts[i] = item.text
		switch err := backlog.CheckAddress(item.text); {
		case err == nil:
		case strings.ContainsAny(item.text, "@="), strings.Contains(item.text, "://"):
			p.fault(item.node, key, "%v", err)
			ok = false
		default:
			p.fault(item.node, key, "got %s, %v", quote(item.text), err)
			ok = false
		}
	}
	return texts, ok
}

// variableName is the portable name of an environment variable.
var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// secret parses {file: PATH} or {env: NAME}. A fault repeats the value only if it is known to
// be a path or a name, because the secret itself may have been written there.
func (p *parser) secret(node *yaml.Node, key, want string) (any, bool) {
	if node.Kind == yaml.ScalarNode && node.Tag != "!!null" {
		p.fault(node, key, "a secret cannot stand in the configuration itself; "+
			"write it into a file or a variable and write %s here", want)
		return nil, false
	}
	if !p.is(node, yaml.MappingNode, key, want) {
		return nil, false
	}
	if len(node.Content) != 2 || node.Content[0].Kind != yaml.ScalarNode {
		p.fault(node, key, "want %s, with one of the two", want)
		return nil, false
	}
	name, value := node.Content[0], node.Content[1]
	switch name.Value {
	case "file":
		return p.secretFile(value, join(key, name.Value))
	case "env":
		return p.secretVariable(value, join(key, name.Value))
	default:
		p.fault(name, key, "unknown key, want %s%s", want, meant(name.Value, []string{"file", "env"}))
		return nil, false
	}
}

func (p *parser) secretFile(node *yaml.Node, key string) (any, bool) {
	file, ok := p.content(node, key, "the path of a file with the secret")
	if !ok {
		return nil, false
	}
	text := trimNewlines(string(file.Data))
	if text == "" {
		p.fault(node, key, "the file %q is empty, want a file with the secret", file.Path)
		return nil, false
	}
	return backlog.NewSecret(text), true
}

// trimNewlines removes the newlines at the end of a secret, which editors and "echo" add.
// Blanks may be part of it.
func trimNewlines(text string) string { return strings.TrimRight(text, "\r\n") }

func (p *parser) secretVariable(node *yaml.Node, key string) (any, bool) {
	const want = "the name of an environment variable with the secret"
	name, ok := p.scalar(node, key, want)
	if !ok {
		return nil, false
	}
	if !variableName.MatchString(name) {
		p.fault(node, key, "not a name, want %s", want)
		return nil, false
	}
	text, found := p.env(name)
	// A Secret of Kubernetes may have been made from a file.
	text = trimNewlines(strings.TrimPrefix(text, "\ufeff"))
	switch {
	case !found:
		p.fault(node, key, "the variable %s is not set, want %s", name, want)
	case text == "":
		p.fault(node, key, "the variable %s is empty, want %s", name, want)
	default:
		return backlog.NewSecret(text), true
	}
	return nil, false
}

// content reads the file that node names.
func (p *parser) content(node *yaml.Node, key, want string) (backlog.File, bool) {
	path, ok := p.scalar(node, key, want)
	if !ok {
		return backlog.File{}, false
	}
	if backlog.HasUserInfo(path) {
		p.fault(node, key, "a URL with user information, want %s", want)
		return backlog.File{}, false
	}
	if p.file != "" && !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(p.file), path)
	}
	data, err := p.read(path)
	if err != nil {
		p.fault(node, key, "%v", err)
		return backlog.File{}, false
	}
	// A mark before a password would be part of it, and one before a certificate hides it.
	if data, err = backlog.UTF8(data); err != nil {
		p.fault(node, key, "the file %q %v", path, err)
		return backlog.File{}, false
	}
	return backlog.File{Path: path, Data: data}, true
}
