package builtin

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/spelling"
)

// fromEnv is the suffix of keys that name a variable of the scaled container.
const fromEnv = "FromEnv"

// Namespaces is the setting of every connection that lists who may use it. A gap in it stands for a login
// that is not known at all.
const Namespaces = "namespaces"

// A conversion is a trigger on its way.
type conversion struct {
	Conversion

	trigger Trigger
	family  Family
}

// Convert returns what a trigger becomes. It reports whether there is an engine for its type.
func Convert(t Trigger) (Conversion, bool) {
	family, ok := Find(t.Type)
	if !ok {
		return Conversion{}, false
	}
	c := &conversion{trigger: t, family: family}
	c.Engine = family.Engine
	c.unread()
	c.checkCommon()
	for _, name := range family.needs {
		key, _ := family.key(name)
		if c.Left == "" && !c.get(name).IsSet() && (c.trigger.AuthUnknown == "" || !strings.Contains(key.From, "A")) {
			c.leave(name, "KEDA refuses this trigger: %s is missing", name)
		}
	}
	if c.Left == "" {
		family.convert(c)
	}
	c.refuseUserInfo()
	if c.Left != "" {
		// What would have become of it does not matter.
		c.Findings = slices.DeleteFunc(c.Findings, func(f Finding) bool { return f.Level != Cannot && f.Level != Unread })
		return c.Conversion, true
	}
	if t.AuthUnknown != "" {
		c.find(Gap, "authenticationRef", "%s", t.AuthUnknown)
		c.gap(Namespaces, "%s", t.AuthUnknown)
	}
	return c.Conversion, true
}

// checkCommon reports what no trigger may have.
func (c *conversion) checkCommon() {
	t := c.trigger
	for _, key := range slices.Sorted(maps.Keys(t.Metadata)) {
		e := t.Metadata[key]
		switch {
		case strings.Contains(e.Text, "{{") || strings.Contains(e.Text, "${"):
			c.leave(key, "%s holds a placeholder of a template: render the manifest first, as with helm template or kustomize build", key)
		case e.Unquoted:
			c.add(Finding{Level: Changed, Line: e.Line, Key: key, Text: key + " is not in quotes, which KEDA's definition refuses; the result has quotes"})
		}
	}
	if t.Job != "" && t.MetricType == "Value" {
		c.leave("metricType", "metricType: Value of a ScaledJob scales nothing, in KEDA too")
	}
	if t.MetricType == "Utilization" {
		c.leave("metricType", "KEDA refuses metricType: Utilization here")
	}
	if t.MetricType == "Value" {
		c.find(Same, "metricType", "stays Value: the HPA multiplies its replicas by value / target, so minReplicas, maxReplicas and drainTime of the trigger would not fit")
	}
}

// unread reports the keys that KEDA does not read.
func (c *conversion) unread() {
	var names []string
	for _, k := range c.family.Keys {
		if strings.Contains(k.From, "M") {
			names = append(names, k.Name)
		}
		if strings.Contains(k.From, "E") {
			names = append(names, k.Name+fromEnv)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(c.trigger.Metadata)) {
		if slices.Contains(names, key) {
			continue
		}
		text := "KEDA never read this key"
		if known, ok := c.family.key(key); ok && known.From == "A" {
			text = "KEDA never read this key here, only in a TriggerAuthentication"
		} else if near := spelling.Nearest(key, names); near != "" {
			text += fmt.Sprintf("; did you mean %q?", near)
		}
		c.add(Finding{Level: Unread, Line: c.trigger.Metadata[key].Line, Key: backlog.Line(key), Text: text})
	}
}

// get returns the value of a key, or of the first of several names that is set, as KEDA finds it.
func (c *conversion) get(names ...string) Value {
	first, _ := c.family.key(names[0])
	for _, source := range first.From {
		for _, name := range names {
			if v := c.from(source, name); v.IsSet() {
				return v
			}
		}
	}
	return Value{}
}

// from returns the value of a key in one source.
func (c *conversion) from(source rune, name string) Value {
	switch source {
	case 'M':
		e := c.trigger.Metadata[name]
		return Value{Text: strings.TrimSpace(e.Text), From: "metadata", Key: name, Line: e.Line}
	case 'E':
		key := name + fromEnv
		e, ok := c.trigger.Metadata[key]
		if !ok || strings.TrimSpace(e.Text) == "" || c.trigger.Env == nil {
			return Value{}
		}
		v := c.trigger.Env(strings.TrimSpace(e.Text))
		v.Key, v.Line, v.Text = key, e.Line, strings.TrimSpace(v.Text)
		return v
	default:
		v := c.trigger.Auth[name]
		v.Key, v.Text = name, strings.TrimSpace(v.Text)
		return v
	}
}

// leave lets the trigger stay as it is. The first reason counts.
func (c *conversion) leave(key, format string, args ...any) {
	if c.Left != "" {
		return
	}
	c.Left = fmt.Sprintf(format, args...)
	c.find(Cannot, key, "%s", c.Left)
}

// find adds a finding about a key.
func (c *conversion) find(level Level, key, format string, args ...any) {
	line := c.trigger.Metadata[key].Line
	if line == 0 {
		line = c.trigger.Metadata[key+fromEnv].Line
	}
	c.add(Finding{Level: level, Line: line, Key: key, Text: fmt.Sprintf(format, args...)})
}

// add adds a finding once.
func (c *conversion) add(f Finding) {
	if !slices.Contains(c.Findings, f) {
		c.Findings = append(c.Findings, f)
	}
}

// set sets a setting to a plain text; an empty one is left out.
func (c *conversion) set(name, text string) {
	if text != "" {
		c.Settings = append(c.Settings, Setting{Name: name, Text: text})
	}
}

// gap leaves a setting to be filled in.
func (c *conversion) gap(name, format string, args ...any) {
	c.Settings = append(c.Settings, Setting{Name: name, Gap: fmt.Sprintf(format, args...)})
}

// plain returns the plain text of a key for a setting. Where that is in a Secret or not known, it
// leaves the setting to be filled in, and reports false.
func (c *conversion) plain(setting string, names ...string) (string, bool) {
	v := c.get(names...)
	if !v.IsSet() || v.IsPlain() {
		return v.Text, true
	}
	why := c.why(v)
	c.find(Gap, v.Key, "%s of the connection: %s", setting, why)
	c.gap(setting, "%s", why)
	return "", false
}

// why says why a value is not known, and what to do.
func (c *conversion) why(v Value) string {
	if v.Secret != nil {
		return fmt.Sprintf("%s is in the Secret %s/%s, key %s, which is not read: write the value here", v.Key, v.Secret.Namespace, v.Secret.Name, v.Secret.Key)
	}
	return fmt.Sprintf("%s is not known: %s", v.Key, v.Unknown)
}

// copyText sets a setting to the plain text of a key.
func (c *conversion) copyText(setting string, names ...string) {
	if text, ok := c.plain(setting, names...); ok {
		c.set(setting, text)
	}
}

// require is copyText for a setting that the engine requires.
func (c *conversion) require(setting string, names ...string) {
	before := len(c.Settings)
	c.copyText(setting, names...)
	if len(c.Settings) > before {
		return
	}
	if c.trigger.AuthUnknown == "" {
		c.leave(names[0], "KEDA refuses this trigger: %s is missing", names[0])
		return
	}
	c.gap(setting, "%s", c.trigger.AuthUnknown)
}

// flag returns a truth value as KEDA reads it. Without the key it returns otherwise.
func (c *conversion) flag(name string, otherwise bool) bool {
	v := c.get(name)
	if !v.IsSet() {
		return otherwise
	}
	b, err := strconv.ParseBool(v.Text)
	if err != nil {
		c.leave(name, "KEDA refuses this trigger: %s is neither true nor false", name)
	}
	return b
}

// number returns a number as KEDA reads it, as the scaler's trigger writes it. Without the key it returns
// otherwise. whole is for those that KEDA reads as integers.
func (c *conversion) number(name, otherwise string, whole bool) float64 {
	text := c.get(name).Text
	if text == "" {
		text = otherwise
	}
	var number float64
	var err error
	if whole {
		var n int64
		n, err = strconv.ParseInt(text, 10, 64)
		number = float64(n)
	} else {
		number, err = strconv.ParseFloat(text, 64)
	}
	if err != nil && text != "" {
		c.leave(name, "KEDA refuses this trigger: %s is no number that it reads", name)
	}
	return number
}

// put adds a key of the new trigger.
func (c *conversion) put(key, value, was string) {
	c.Keys = append(c.Keys, Pair{Key: key, Value: value, Was: was})
}

// target adds target and activation, which are always written because the defaults differ.
func (c *conversion) target(target float64, was string, activation float64, wasActivation string) {
	if c.Left != "" {
		return
	}
	if c.trigger.Formula && !c.get(was).IsSet() && c.family.optionalTarget {
		return // the target is that of the formula
	}
	if !(target > 0) {
		c.leave(was, "%s is %s: a target has to be greater than zero, for the HPA too", was, number(target))
		return
	}
	c.put("target", number(target), was)
	c.put("activation", number(activation), wasActivation)
	if activation < 0 {
		c.find(Gap, wasActivation, "a negative activation keeps KEDA's trigger always active: set minReplicaCount: 1 in the object, and activation: \"0\" here")
	}
}

// number writes a number without an exponent.
func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// queue adds the key that names the queue. Where escape is set, the layout takes patterns, and the
// letters that they use are escaped. The value of a variable stays a reference to that variable.
func (c *conversion) queue(layout, name string, escape bool, stub string) {
	v := c.get(name)
	c.Layout = layout
	if strings.HasSuffix(v.Key, fromEnv) {
		c.Keys = append(c.Keys, Pair{Key: layout + fromEnv, Value: c.trigger.Metadata[v.Key].Text, Was: v.Key, Stub: stub, Resolved: v.Text})
		// The value of a variable is shown nowhere, as by the scaler itself.
		if escape {
			c.find(Changed, v.Key, "a comma, a star, a question mark or a backslash in the variable is special here, and KEDA takes it as it is")
		}
		return
	}
	c.Queue = v.Text
	if escape {
		c.put(layout, backlog.Escape(v.Text), name)
		return
	}
	c.put(layout, v.Text, name)
}

// named is a key and its value in a few words.
func (c *conversion) named(name string) string {
	if v := c.get(name); strings.HasSuffix(v.Key, fromEnv) {
		return c.trigger.Type + " " + v.Key + "=" + c.trigger.Metadata[v.Key].Text
	}
	return c.trigger.Type + " " + name + "=" + c.Queue
}

// metric names KEDA's metric after the queue, where that is known.
func (c *conversion) metric(prefix string) {
	if c.Queue != "" {
		c.OldMetric = prefix + c.Queue
	}
}

// job adds the key of a ScaledJob.
func (c *conversion) job() {
	if c.trigger.Job != "" {
		c.put("scaledJob", c.trigger.Job, "")
	}
}

// count adds the parts of the backlog that count; those of a ScaledJob follow from its strategy.
func (c *conversion) count(parts string) {
	if c.trigger.Job == "" {
		c.put("count", parts, "")
	}
}
