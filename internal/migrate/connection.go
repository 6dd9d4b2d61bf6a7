package migrate

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/migrate/builtin"
)

// A connection is one entry of the configuration.
type connection struct {
	name     string
	engine   string
	settings []builtin.Setting
	// host is what the name is made of.
	host, identity string
	namespaces     []string
	users          []*carried
}

// connect gives each trigger its connection: triggers with the same server and the same login share one.
func (m *migration) connect() {
	byIdentity := map[string]*connection{}
	for _, o := range m.objects {
		for _, c := range o.carried {
			parts := []string{c.Engine}
			for _, s := range c.Settings {
				parts = append(parts, s.Identity())
			}
			identity := strings.Join(parts, "\x01")
			k, known := byIdentity[identity]
			if !known {
				k = &connection{engine: c.Engine, settings: c.Settings, host: c.Host, identity: identity}
				byIdentity[identity] = k
				m.connections = append(m.connections, k)
			}
			if !slices.Contains(k.namespaces, o.namespace) {
				k.namespaces = append(k.namespaces, o.namespace)
			}
			k.users = append(k.users, c)
			c.connection = k
		}
	}
	m.nameConnections()
	slices.SortFunc(m.connections, func(a, b *connection) int { return cmp.Compare(a.name, b.name) })
}

// prune drops connections that no written object uses, and reports on the others.
func (m *migration) prune() {
	for _, k := range m.connections {
		k.users = slices.DeleteFunc(k.users, func(c *carried) bool { return c.report.Outcome != outcomeCarried })
	}
	m.connections = slices.DeleteFunc(m.connections, func(k *connection) bool { return len(k.users) == 0 })
	for _, k := range m.connections {
		k.namespaces = nil
		for _, c := range k.users {
			k.namespaces = append(k.namespaces, c.object.namespace)
		}
		slices.Sort(k.namespaces)
		k.namespaces = slices.Compact(k.namespaces)
		for _, s := range k.settings {
			if s.Secret != nil {
				m.secrets.add(*s.Secret)
			}
		}
		m.result.Report.Connections = append(m.result.Report.Connections, &ConnectionReport{Name: k.name, Engine: k.engine, Namespaces: k.namespaces, Triggers: len(k.users)})
	}
	m.secrets.name()
	m.result.Report.Secrets = m.secrets.report()
}

// nameConnections names connections after their servers. The names depend on the input alone, and not on
// the order of its files: those that would be equal get the namespace of their first user, then a number.
func (m *migration) nameConnections() {
	ordered := slices.Clone(m.connections)
	slices.SortFunc(ordered, func(a, b *connection) int {
		return cmp.Or(cmp.Compare(a.place(), b.place()), cmp.Compare(a.identity, b.identity))
	})
	wanted := map[string]int{}
	for _, k := range ordered {
		wanted[k.base()]++
	}
	taken := map[string]bool{}
	for _, k := range ordered {
		name := k.base()
		if wanted[name] > 1 {
			name = cleanName(k.first() + "-" + name)
		}
		k.name = name
		for i := 2; taken[k.name]; i++ {
			k.name = name + "-" + strconv.Itoa(i)
		}
		taken[k.name] = true
	}
}

// first is the first namespace that uses the connection.
func (k *connection) first() string { return slices.Min(k.namespaces) }

// place orders connections by their first user.
func (k *connection) place() string {
	var places []string
	for _, c := range k.users {
		places = append(places, fmt.Sprintf("%s/%s/%s/%03d", c.object.namespace, c.object.Kind, c.object.Name, c.index))
	}
	return slices.Min(places)
}

// nameLetters are those that a name has not.
var nameLetters = regexp.MustCompile(`[^a-z0-9]+`)

// cleanName returns a text as the name of a connection.
func cleanName(text string) string {
	name := strings.Trim(nameLetters.ReplaceAllString(strings.ToLower(text), "-"), "-")
	return strings.Trim(name[:min(len(name), 50)], "-")
}

// base is the name that the connection would have if it were the only one.
func (k *connection) base() string {
	name := k.host
	if first, _, dotted := strings.Cut(name, "."); dotted && strings.ContainsFunc(first, func(r rune) bool { return r < '0' || r > '9' }) {
		name = first
	}
	if name = cleanName(name); name == "" {
		name = cleanName(k.engine + "-" + k.users[0].object.Name)
	}
	name = cmp.Or(name, k.engine)
	if i := slices.IndexFunc(k.settings, func(s builtin.Setting) bool { return s.Name == "database" }); i >= 0 && k.engine == "redis" {
		name += "-db" + cleanName(k.settings[i].Text)
	}
	return name
}

// fillIn marks what has to be filled in.
const fillIn = "FILL-IN"

// configText returns the configuration. With stubs its gaps are filled with values that the engines take, to
// check the rest.
func (m *migration) configText(stubs bool) string {
	if len(m.connections) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("# Connections for the triggers that \"scaler migrate\" has changed.\nconnections:\n")
	for _, k := range m.connections {
		fmt.Fprintf(&b, "  %s:\n    engine: %s\n", k.name, k.engine)
		b.WriteString("    namespaces: " + k.namespaceList(stubs) + "\n")
		for _, s := range k.settings {
			if s.Name != builtin.Namespaces {
				b.WriteString("    " + s.Name + ": " + m.value(s, stubs) + "\n")
			}
		}
	}
	if m.options.Watches && !stubs {
		m.watches(&b)
	}
	return b.String()
}

// isNameless reports whether an object that uses the connection names no namespace.
func (k *connection) isNameless() bool { return slices.Contains(k.namespaces, "") }

// namespaceList returns the value of namespaces.
func (k *connection) namespaceList(stubs bool) string {
	var names []string
	for _, n := range k.namespaces {
		if n != "" {
			names = append(names, yamlText(n))
		}
	}
	list := "[" + strings.Join(names, ", ") + "]"
	for _, s := range k.settings {
		if s.Name == builtin.Namespaces && !stubs {
			return "[] # FILL IN " + list + ", once the rest is right: " + comment(s.Gap)
		}
	}
	switch {
	case k.isNameless() && !stubs:
		return "[] # FILL IN " + list + " and the namespace of the objects that name none"
	case len(names) > 0:
		return list
	default:
		return `["stub"]`
	}
}

// value returns the value of a setting.
func (m *migration) value(s builtin.Setting, stubs bool) string {
	switch {
	case s.Gap != "" && stubs:
		return stub(s)
	case s.Gap != "" && s.Kind == builtin.KindSecret:
		return "{file: " + fillIn + "} # FILL IN: " + comment(s.Gap)
	case s.Gap != "" && s.Kind == builtin.KindFile:
		return fillIn + " # FILL IN: " + comment(s.Gap)
	case s.Gap != "":
		return "[] # FILL IN: " + comment(s.Gap)
	case s.Secret != nil && s.Kind == builtin.KindFile:
		return yamlText(m.secrets.path(*s.Secret))
	case s.Secret != nil:
		return "{file: " + yamlText(m.secrets.path(*s.Secret)) + "} # " + comment(fmt.Sprintf("Secret %s/%s, key %s", s.Secret.Namespace, s.Secret.Name, s.Secret.Key))
	case s.Kind == builtin.KindList:
		var items []string
		for _, item := range s.List {
			items = append(items, yamlText(item))
		}
		return "[" + strings.Join(items, ", ") + "]"
	default:
		return yamlText(s.Text)
	}
}

// stub returns a value that an engine takes.
func stub(s builtin.Setting) string {
	switch {
	case s.Stub != "":
		return yamlText(s.Stub)
	case s.Kind == builtin.KindSecret:
		return "{file: " + stubSecret + "}"
	case s.Kind == builtin.KindFile:
		return stubCertificate
	case s.Name == "addresses":
		return `["stub.example.com:1"]`
	case s.Name == "address":
		return "stub.example.com:1"
	default:
		return "stub"
	}
}

// comment returns a text as the end of a line.
func comment(text string) string { return backlog.Line(backlog.Redact(text)) }

// bare is a text that YAML takes for nothing but a text.
var bare = regexp.MustCompile(`^[A-Za-z/][A-Za-z0-9._/-]*$|^(?:true|false|[1-9]\d{0,9})$`)

// yamlText returns a text as a scalar of YAML.
func yamlText(text string) string {
	if bare.MatchString(text) && !slices.Contains([]string{"null", "yes", "no", "on", "off", "y", "n"}, strings.ToLower(text)) {
		return text
	}
	// The escapes of Go are those of YAML as well.
	return strconv.Quote(text)
}
