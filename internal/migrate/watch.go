package migrate

import (
	"fmt"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/migrate/builtin"
	"github.com/backlog-scaler/backlog-scaler/internal/migrate/shadow"
)

// watchName is the name of the static watch of a trigger, which no other trigger of the input has.
func (c *carried) watchName() string {
	return strings.ToLower(fmt.Sprintf("%s.%s.%s.%d", c.object.namespace, c.object.Kind, c.object.Name, c.index))
}

// watchKeys returns the keys of the static watch of a trigger. It reports false where a value comes from a
// variable that is not known.
func (c *carried) watchKeys() ([]builtin.Pair, bool) {
	var keys []builtin.Pair
	for _, p := range c.Keys {
		switch plain, fromEnv := strings.CutSuffix(p.Key, "FromEnv"); {
		case fromEnv && p.Resolved == "":
			return nil, false
		case fromEnv:
			keys = append(keys, builtin.Pair{Key: plain, Value: p.Resolved})
		case p.Key == "scaledJob":
			// No ScaledJob asks, but the same parts count.
			if p.Value == "accurate" || p.Value == "eager" {
				keys = append(keys, builtin.Pair{Key: "count", Value: "ready,due"})
			}
		default:
			keys = append(keys, p)
		}
	}
	return keys, true
}

// watches writes the static watches of all triggers.
func (m *migration) watches(b *strings.Builder) {
	b.WriteString("# The queues of these triggers are read next to KEDA: remove the watches once the objects are applied.\n")
	seen := map[string]bool{}
	var entries strings.Builder
	for _, o := range m.objects {
		for _, c := range o.carried {
			name := c.watchName()
			if c.report.Outcome != outcomeCarried || seen[name] {
				continue
			}
			keys, known := c.watchKeys()
			if !known {
				fmt.Fprintf(b, "# There is none for %s: a value comes from a variable that is not known.\n", comment(name))
				continue
			}
			seen[name] = true
			fmt.Fprintf(&entries, "  %s:\n    namespace: %s\n    connection: %s\n", yamlText(name), yamlText(o.namespace), c.connection.name)
			for _, p := range keys {
				entries.WriteString("    " + p.Key + ": " + yamlText(p.Value) + "\n")
			}
		}
	}
	if len(seen) == 0 {
		b.WriteString("watches: {}\n")
		return
	}
	b.WriteString("watches:\n" + entries.String())
}

// watched collects the triggers that have a static watch, with what the report says about their numbers.
func (m *migration) watched() {
	if !m.options.Watches {
		return
	}
	for _, o := range m.objects {
		for _, c := range o.carried {
			if _, known := c.watchKeys(); c.report.Outcome != outcomeCarried || !known {
				continue
			}
			t := shadow.Trigger{Namespace: o.namespace, Object: o.Name, Job: o.Job != "", Index: c.index, Watch: c.watchName()}
			for _, f := range c.report.Findings {
				if f.Level == builtin.Changed || f.Level == builtin.Cannot {
					t.Announced = append(t.Announced, withKey(f))
				}
			}
			m.result.Watched = append(m.result.Watched, t)
		}
	}
}
