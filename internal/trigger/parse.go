package trigger

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/spelling"
)

// fromEnv is the suffix of keys whose value KEDA took from the environment of the
// scaled container. KEDA sends the value and keeps the suffix:
// https://github.com/kedacore/keda/blob/v2.21.0/pkg/scalers/external_scaler.go#L150
const fromEnv = "FromEnv"

// maxShown bounds how much of a wrong value is repeated in an error.
const maxShown = 80

// kedaKeys are keys of the external scaler itself, which KEDA sends along.
func kedaKeys() []string { return []string{"scalerAddress", "enableTLS", "unsafeSsl"} }

// Parse returns the Trigger of the metadata of one trigger of a ScaledObject in namespace. The
// error is MetadataError, or wraps ErrDenied.
func (c *Catalog) Parse(namespace string, metadata map[string]string) (Trigger, error) {
	if strings.TrimSpace(metadata[keyThroughput]) == learned {
		return Trigger{}, MetadataError{{keyThroughput, "learned is for the signal of an AutoscalerPolicy, where the replicas that work are known; want a number"}}
	}
	return c.parse(namespace, metadata)
}

func (c *Catalog) parse(namespace string, metadata map[string]string) (Trigger, error) {
	if err := checkSize(metadata); err != nil {
		return Trigger{}, err
	}
	p := parser{values: make(map[string]string, len(metadata))}
	p.resolve(metadata)
	p.rejectKEDA(c, metadata)
	if _, ok := p.values[keyPolicy]; ok {
		return p.policyTrigger(c, namespace)
	}
	return p.trigger(c, namespace)
}

// A parser removes the keys that it knows from values; the rest is unknown.
type parser struct {
	values map[string]string
	// environment are the values that came from there.
	environment environment
	faults      MetadataError
}

// trigger parses the trigger of a queue.
func (p *parser) trigger(c *Catalog, namespace string) (Trigger, error) {
	name := p.pop(keyConnection)
	if name == "" {
		p.faults.add(keyConnection, "required: the name of a connection of the scaler's configuration%s", among(c.namesVisibleTo(namespace)))
		return Trigger{}, p.faults
	}
	connection, ok := c.visible(namespace, name)
	if !ok {
		visible := c.namesVisibleTo(namespace)
		return Trigger{}, fmt.Errorf("connection: %w: namespace %q has no connection %s%s%s",
			ErrDenied, namespace, p.shown(keyConnection, name), p.suggest(name, visible, keyConnection), among(visible))
	}
	layout := p.layout(c.engines[connection.Engine])
	t := Trigger{Connection: name, Exclusive: connection.Exclusive(), Policy: p.policy(layout), Query: p.query(namespace, connection, layout)}
	p.checkSeveral(t, layout)
	p.checkHeld(t, layout)
	p.rejectRest(c.engines[connection.Engine], layout)
	p.checkQuery(connection, layout, t.Query)
	if len(p.faults) > 0 {
		return Trigger{}, p.faults
	}
	if err := p.allowQueues(connection, namespace, layout, t.Query); err != nil {
		return Trigger{}, err
	}
	t.MetricName = p.metricName(t, layout)
	return t, nil
}

// resolve copies the metadata, drops KEDA's own keys and takes "FromEnv" off.
func (p *parser) resolve(metadata map[string]string) {
	for _, key := range slices.Sorted(maps.Keys(metadata)) {
		plain := strings.TrimSuffix(key, fromEnv)
		if slices.Contains(kedaKeys(), plain) {
			continue
		}
		if _, both := metadata[plain]; both && plain != key {
			p.faults.add(key, "%s is set as well, only one of the two may be", plain)
			continue
		}
		if strings.ContainsRune(key, 0) || strings.ContainsRune(metadata[key], 0) {
			p.faults.add(shorten(key), "contains a NUL character, which no key and no value may")
			continue
		}
		p.values[plain] = strings.TrimSpace(metadata[key])
		if plain != key {
			p.environment.add(plain, p.values[plain])
		}
	}
}

// pop removes key and returns its value, or "" if it is not set.
func (p *parser) pop(key string) string {
	value := p.values[key]
	delete(p.values, key)
	return value
}

// layout returns the layout whose name is a key. It leaves the key in place.
func (p *parser) layout(engine backlog.Engine) backlog.Layout {
	var found []backlog.Layout
	var names []string
	for _, layout := range engine.Layouts {
		if _, ok := p.values[layout.Name]; ok {
			found = append(found, layout)
		}
		names = append(names, layout.Name)
	}
	switch len(found) {
	case 1:
		return found[0]
	case 0:
		p.faults.add("", "no key names the queue, want one of %s", strings.Join(names, ", "))
		return backlog.Layout{Parameters: anyParameter(engine)}
	default:
		p.faults.add(found[1].Name, "the queue is named by %s already, want one of %s", found[0].Name, strings.Join(names, ", "))
		for _, layout := range found[1:] {
			p.pop(layout.Name)
		}
		return found[0]
	}
}

// anyParameter is every parameter of every layout: where the layout is not known,
// none of them can be called unknown.
func anyParameter(engine backlog.Engine) []backlog.Parameter {
	var all []backlog.Parameter
	for _, layout := range engine.Layouts {
		for _, parameter := range layout.Parameters {
			parameter.Required = false
			all = append(all, parameter)
		}
	}
	return all
}

// query reads the queue's name and the layout's own parameters.
func (p *parser) query(namespace string, connection backlog.Connection, layout backlog.Layout) backlog.Query {
	q := backlog.Query{Layout: layout.Name}
	if layout.Name != "" {
		if q.Queue = p.pop(layout.Name); q.Queue == "" {
			p.fault(layout.Name, "is empty, want the %s", layout.Queue)
		}
	}
	if layout.Patterns != "" {
		queues, err := backlog.ParseQueues(q.Queue)
		if err != nil {
			p.fault(layout.Name, "%s: %s", p.shown(layout.Name, q.Queue), err)
		}
		// Queries that differ in blanks, and in repeated names, are equal.
		q.Queue = queues.Canonical(q.Queue)
		if queues.Several() {
			q.Namespace = namespace
		}
	}
	if layout.PerNamespace != nil && layout.PerNamespace(connection.Settings) {
		q.Namespace = namespace
	}
	params := map[string]string{}
	for _, parameter := range layout.Parameters {
		// The default is written out, so that a trigger that names it shares its query
		// with one that does not.
		params[parameter.Name] = cmp.Or(p.text(parameter), parameter.Default)
	}
	params[backlog.ParamFromEnv] = strings.Join(p.environment.keys(layout), ",")
	q.Params = backlog.NewParams(params)
	return q
}

// checkQuery reports what the layout finds in a query that has no other fault.
func (p *parser) checkQuery(connection backlog.Connection, layout backlog.Layout, q backlog.Query) {
	if len(p.faults) == 0 && layout.Check != nil {
		if err := layout.Check(q); err != nil {
			p.fault("", "%s", err)
		}
	}
	if len(p.faults) == 0 && layout.CheckOn != nil {
		if err := layout.CheckOn(connection.Settings, q); err != nil {
			p.fault("", "%s", err)
		}
	}
}

// text removes the text of a parameter and validates it. It returns "" if the parameter is not
// set or wrong.
func (p *parser) text(parameter backlog.Parameter) string {
	_, set := p.values[parameter.Name]
	text := p.pop(parameter.Name)
	switch {
	case text == "" && parameter.Required:
		p.fault(parameter.Name, "required, want %s", parameter.Expects())
		return ""
	case text == "" && set:
		p.fault(parameter.Name, "is empty, want %s", parameter.Expects())
		return ""
	case text == "":
		return ""
	}
	if _, err := parameter.Parse(text); err != nil {
		p.fault(parameter.Name, "%s: %s", p.shown(parameter.Name, text), p.wrong(parameter, err))
		return ""
	}
	return text
}

// rejectRest records every key that was not removed.
func (p *parser) rejectRest(engine backlog.Engine, layout backlog.Layout) {
	var known []string
	for _, parameter := range Common() {
		known = append(known, parameter.Name)
	}
	for _, l := range engine.Layouts {
		// Where the queue is named, another layout's key is not what was meant.
		if layout.Name == "" || l.Name == layout.Name {
			known = append(known, l.Name)
		}
	}
	for _, parameter := range layout.Parameters {
		known = append(known, parameter.Name)
	}
	for _, key := range slices.Sorted(maps.Keys(p.values)) {
		if key == "" {
			p.faults.add("(empty)", "a key without a name, want a name before the colon")
			continue
		}
		p.faults.add(shorten(key), "unknown key%s", suggest(key, known))
	}
}

// suggest is the "did you mean" of an error.
func suggest(word string, known []string) string {
	if near := spelling.Nearest(word, known); near != "" {
		return ", did you mean " + strconv.Quote(near) + "?"
	}
	return ""
}

// among lists what there is to choose from, if that is little.
func among(names []string) string {
	const few = 10
	if len(names) == 0 || len(names) > few {
		return ""
	}
	return " (there are: " + strings.Join(names, ", ") + ")"
}

// shorten truncates and redacts a value for an error.
func shorten(s string) string {
	s = backlog.RedactValue(s)
	if len(s) <= maxShown {
		return s
	}
	return strings.ToValidUTF8(s[:maxShown], "") + "..."
}
