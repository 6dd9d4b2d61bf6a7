// Package triggers parses the triggers of ScaledObjects for scaler doctor, with the scaler's own parser.
package triggers

import (
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/policies"
	"github.com/backlog-scaler/backlog-scaler/internal/policycheck"
	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

// A Catalog parses triggers with the scaler's own parser. It is immutable.
type Catalog struct {
	engines []backlog.Engine
	// configured is nil without a configuration. of has the engines of its connections.
	configured *trigger.Catalog
	of         map[string]string
}

// New returns a parser for triggers of engines. The configured catalogue is that of the connections;
// nil without a configuration, and then each connection is taken to exist.
func New(engines []backlog.Engine, configured *trigger.Catalog, connections []backlog.Connection) *Catalog {
	c := &Catalog{engines: engines, of: make(map[string]string)}
	if configured != nil {
		c.configured = configured.WithPolicies()
	}
	for i := range connections {
		c.of[connections[i].Name] = connections[i].Engine
	}
	return c
}

// Parse returns the trigger of metadata, and what its layout cannot count of what workers hold; nil if all is
// counted. The error is trigger.MetadataError, or wraps trigger.ErrDenied.
func (c *Catalog) Parse(namespace string, metadata map[string]string) (t trigger.Trigger, unseen, err error) {
	catalog, engine := c.configured, c.of[metadata["connection"]]
	if catalog == nil {
		name := metadata["connection"]
		if name == "" {
			name = metadata["connectionFromEnv"]
		}
		keys := make(map[string]string, len(metadata))
		for key, text := range metadata {
			if key = strings.TrimSuffix(key, "FromEnv"); key != "connection" {
				keys[key] = text
			}
		}
		assumed, names := policycheck.Assume(c.engines, []policies.Signal{{Connection: name, Trigger: keys}})
		catalog, engine = assumed.WithPolicies(), names[0]
	}
	if t, err = catalog.Parse(namespace, metadata); err != nil {
		return trigger.Trigger{}, nil, err
	}
	return t, c.unseen(engine, t.Query), nil
}

// NamesQueue reports whether a key of metadata names a queue in any layout.
func (c *Catalog) NamesQueue(key string) bool {
	for _, engine := range c.engines {
		if _, found := engine.Layout(key); found {
			return true
		}
	}
	return false
}

// unseen returns why the backlog does not have what workers hold; nil if it has, and for a number that is
// not of messages.
func (c *Catalog) unseen(name string, query backlog.Query) error {
	for _, engine := range c.engines {
		if layout, found := engine.Layout(query.Layout); found && engine.Name == name && !layout.ReadyIncludesHeld && !layout.Measures {
			return layout.CountsInFlight(query)
		}
	}
	return nil
}
