package trigger

import (
	"slices"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// A Catalog is the part of the configuration that the parser needs: the connections, and what
// their engines can read. It is immutable.
type Catalog struct {
	connections map[string]backlog.Connection
	engines     map[string]backlog.Engine
	// known are the keys that metadata may have.
	known map[string]bool
	// policies reports whether triggers may name a policy.
	policies bool
}

// NewCatalog returns a Catalog of connections. A connection whose engine is not
// among engines is left out.
func NewCatalog(connections []backlog.Connection, engines []backlog.Engine) *Catalog {
	c := &Catalog{connections: map[string]backlog.Connection{}, engines: map[string]backlog.Engine{}}
	for _, engine := range engines {
		c.engines[engine.Name] = engine
	}
	for _, connection := range connections {
		if _, ok := c.engines[connection.Engine]; ok {
			c.connections[connection.Name] = connection
		}
	}
	c.known = c.knownKeys()
	return c
}

// WakeToken returns the token of those who may have a queue of a connection read at once; unset if
// there is none.
func (c *Catalog) WakeToken(connection string) backlog.Secret {
	return c.connections[connection].WakeToken
}

// Layout returns the layout of a trigger that the catalog has parsed; false for one that names a policy.
func (c *Catalog) Layout(t *Trigger) (backlog.Layout, bool) {
	return c.engines[c.connections[t.Connection].Engine].Layout(t.Query.Layout)
}

// visible returns a connection that a namespace may use.
func (c *Catalog) visible(namespace, name string) (backlog.Connection, bool) {
	connection, ok := c.connections[name]
	return connection, ok && connection.Allows(namespace)
}

// namesVisibleTo returns the names of the connections that a namespace may use. The names of
// the others are not disclosed.
func (c *Catalog) namesVisibleTo(namespace string) []string {
	var names []string
	for name, connection := range c.connections {
		if connection.Allows(namespace) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// WithPolicies returns the catalog of a scaler that watches AutoscalerPolicies, so that triggers
// may name one.
func (c *Catalog) WithPolicies() *Catalog {
	with := *c
	with.policies = true
	return &with
}
