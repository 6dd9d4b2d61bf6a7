package config

import (
	"cmp"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/spelling"
)

// The keys that are not an engine's own.
const (
	connectionsKey = "connections"
	watchesKey     = "watches"
	namespaceKey   = "namespace"
	engineKey      = "engine"
	namespacesKey  = "namespaces"
	queuesKey      = "queues"
	wakeTokenKey   = "wakeToken"
)

// A parser turns one file into a Config and collects its faults on the way.
type parser struct {
	document

	engines []backlog.Engine
	read    func(name string) ([]byte, error)
	env     func(name string) (string, bool)
}

func (p *parser) parse(data []byte) (*Config, error) {
	config := &Config{}
	if root, ok := p.root(data); ok {
		p.top(root, config)
	}
	if len(p.faults) > 0 {
		p.faults.sort()
		return nil, p.faults
	}
	slices.SortFunc(config.Connections, func(a, b backlog.Connection) int {
		return cmp.Compare(a.Name, b.Name)
	})
	slices.SortFunc(config.Watches, func(a, b Watch) int { return cmp.Compare(a.Name, b.Name) })
	return config, nil
}

// top parses the document into config.
func (p *parser) top(root *yaml.Node, config *Config) {
	entries, ok := p.mapping(root, "", `a mapping with the key "connections"`)
	if !ok {
		return
	}
	found := false
	for _, e := range entries {
		switch e.name {
		case connectionsKey:
			found = true
			named, _ := p.mapping(e.value, connectionsKey, "a mapping of names to connections; {} is none")
			for _, c := range named {
				if connection, ok := p.connection(c); ok {
					config.Connections = append(config.Connections, connection)
				}
			}
		case watchesKey:
			named, _ := p.mapping(e.value, watchesKey, "a mapping of names to watches; {} is none")
			for _, w := range named {
				if watch, ok := p.watch(w); ok {
					config.Watches = append(config.Watches, watch)
				}
			}
		default:
			p.unknown(e, join("", e.name), []string{connectionsKey, watchesKey})
		}
	}
	if !found {
		p.fault(root, "", `the key "connections" is missing, want at least "connections: {}"`)
	}
}

// watch parses one entry below "watches".
func (p *parser) watch(e entry) (Watch, bool) {
	key := join(watchesKey, e.name)
	before := len(p.faults)
	w := Watch{Name: e.name, Trigger: map[string]string{}, Place: p.place(e.key)}
	entries, ok := p.mapping(e.value, key, "a mapping with namespace and the keys of a trigger")
	if !ok {
		return w, false
	}
	for _, e := range entries {
		text, _ := p.scalar(e.value, join(key, e.name), "a text")
		if e.name == namespaceKey && backlog.HasUserInfo(text) {
			p.fault(e.value, join(key, e.name), "a URL with user information, want the name of a namespace")
		}
		if e.name == namespaceKey {
			w.Namespace = text
		} else {
			w.Trigger[e.name] = text
		}
	}
	if w.Namespace == "" && len(p.faults) == before {
		p.fault(e.key, key, "the key %q is missing, want the namespace for which the queue is read", namespaceKey)
	}
	return w, len(p.faults) == before
}

// connectionName is a name of at most maxConnectionName bytes that can be a Kubernetes label and needs no
// quotes.
var connectionName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$`)

const maxConnectionName = 63

// connection parses one entry below "connections".
func (p *parser) connection(e entry) (backlog.Connection, bool) {
	key := join(connectionsKey, e.name)
	before := len(p.faults)
	connection := backlog.Connection{Name: e.name}
	if len(e.name) > maxConnectionName || !connectionName.MatchString(e.name) {
		p.fault(e.key, key, "the name of a connection is 1 to 63 letters, digits, dashes, underscores and "+
			"dots, with a letter or digit at either end")
	}
	entries, ok := p.mapping(e.value, key, "a mapping with engine, namespaces and the engine's settings")
	if !ok {
		return connection, false
	}
	own := make(map[string]entry, len(entries))
	for _, e := range entries {
		own[e.name] = e
	}
	connection.Namespaces = p.namespaces(e.key, own, key)
	connection.Queues = p.queues(own, key)
	connection.WakeToken = p.wakeToken(own, key)
	engine, ok := p.engine(e.key, own, key)
	if !ok {
		p.rejectForeign(own, key)
		return connection, false
	}
	connection.Engine = engine.Name
	values := p.settings(e.key, own, key, engine)
	if len(p.faults) > before {
		return connection, false
	}
	connection.Settings = backlog.NewSettings(values)
	if engine.Check != nil {
		p.checked(e.key, key, engine.Check(connection.Settings))
	}
	return connection, len(p.faults) == before
}

// wakeToken parses the token of those who may have a queue read at once.
func (p *parser) wakeToken(own map[string]entry, key string) backlog.Secret {
	e, found := own[wakeTokenKey]
	if !found {
		return backlog.Secret{}
	}
	value, _ := p.secret(e.value, join(key, wakeTokenKey), backlog.Parameter{Kind: backlog.KindSecret}.Expects())
	token, _ := value.(backlog.Secret)
	return token
}

// checked records err, and each of the errors that it joins on its own.
func (p *parser) checked(at *yaml.Node, key string, err error) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, err := range joined.Unwrap() {
			p.checked(at, key, err)
		}
		return
	}
	if err != nil {
		p.fault(at, key, "%v", err)
	}
}

func (p *parser) engine(at *yaml.Node, own map[string]entry, key string) (backlog.Engine, bool) {
	names := make([]string, len(p.engines))
	for i, engine := range p.engines {
		names[i] = engine.Name
	}
	want := "one of " + strings.Join(names, ", ")
	e, found := own[engineKey]
	if !found {
		p.fault(at, key, "the key %q is missing, want %s", engineKey, want)
		return backlog.Engine{}, false
	}
	key = join(key, engineKey)
	name, ok := p.scalar(e.value, key, want)
	if !ok {
		return backlog.Engine{}, false
	}
	i := slices.Index(names, name)
	if i < 0 {
		p.fault(e.value, key, "there is no engine %s, want %s%s", quote(name), want, meant(name, names))
		return backlog.Engine{}, false
	}
	return p.engines[i], true
}

// settings parses everything but engine and namespaces.
func (p *parser) settings(at *yaml.Node, own map[string]entry, key string, engine backlog.Engine) map[string]any {
	values := make(map[string]any, len(engine.Settings))
	for _, parameter := range engine.Settings {
		e, found := own[parameter.Name]
		switch {
		case found:
			if value, ok := p.value(e.value, join(key, parameter.Name), parameter); ok {
				values[parameter.Name] = value
			}
		case parameter.Required:
			p.fault(at, key, "the key %q is missing, want %s", parameter.Name, parameter.Expects())
		case parameter.Default != "":
			value, err := parameter.Parse(parameter.Default)
			if err != nil {
				p.fault(at, join(key, parameter.Name), "the default %q of the engine is wrong: %v", parameter.Default, err)
			}
			values[parameter.Name] = value
		}
	}
	p.rejectUnknown(own, key, engine)
	return values
}

// rejectUnknown records the keys that neither all connections have, nor those of an engine.
func (p *parser) rejectUnknown(own map[string]entry, key string, engine backlog.Engine) {
	names := keysOf(engine)
	for _, name := range slices.Sorted(maps.Keys(own)) {
		if !slices.Contains(names, name) {
			p.unknown(own[name], join(key, name), names)
		}
	}
}

// rejectForeign records the keys that no engine has, where the engine of a connection is not known. A
// list of all that any engine has would help no one.
func (p *parser) rejectForeign(own map[string]entry, key string) {
	names := keysOf(p.engines...)
	for _, name := range slices.Sorted(maps.Keys(own)) {
		if !slices.Contains(names, name) {
			p.fault(own[name].key, join(key, name), "unknown key, which no engine has%s", meant(name, names))
		}
	}
}

// keysOf returns the keys that all connections have, and those of engines.
func keysOf(engines ...backlog.Engine) []string {
	names := []string{engineKey, namespacesKey, queuesKey, wakeTokenKey}
	for _, engine := range engines {
		for _, parameter := range engine.Settings {
			if !slices.Contains(names, parameter.Name) {
				names = append(names, parameter.Name)
			}
		}
	}
	return names
}

// unknown records a key that is none of names. It does not repeat the value, which may be a
// secret under a misspelt key.
func (p *parser) unknown(e entry, key string, names []string) {
	p.fault(e.key, key, "unknown key, want one of %s%s", strings.Join(names, ", "), meant(e.name, names))
}

// namespaces parses the patterns of the namespaces that may use the connection.
func (p *parser) namespaces(at *yaml.Node, own map[string]entry, key string) []string {
	const want = `a list of namespaces such as ["shop", "team-*"], or ["*"] for everyone`
	e, found := own[namespacesKey]
	if !found {
		p.fault(at, key, "the key %q is missing, want %s", namespacesKey, want)
		return nil
	}
	key = join(key, namespacesKey)
	items, ok := p.list(e.value, key, want)
	if !ok {
		return nil
	}
	patterns := make([]string, len(items))
	for i, item := range items {
		patterns[i] = item.text
		if problem := namespaceProblem(item.text); problem != "" {
			p.fault(item.node, key, "%s %s, want %s", quote(item.text), problem, want)
		}
	}
	return patterns
}

// namespacePattern holds the characters of a namespace, which is an RFC 1123
// label, and those that have a meaning in path.Match.
var namespacePattern = regexp.MustCompile(`^[a-z0-9*?\[\]^-]+$`)

func namespaceProblem(pattern string) string {
	if _, err := path.Match(pattern, ""); err != nil {
		return "is not a valid pattern"
	}
	if !namespacePattern.MatchString(pattern) {
		return "matches no namespace, whose names are lower-case letters, digits and dashes"
	}
	return ""
}

// meant is the end of a sentence that suggests the nearest of names, or nothing.
func meant(word string, names []string) string {
	if near := spelling.Nearest(word, names); near != "" {
		return "; did you mean " + quote(near) + "?"
	}
	return ""
}
