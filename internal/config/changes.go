package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// Changes describes the differences to an earlier configuration for the log, such as
// "connections added: a, b; watches changed: w". It is empty if there are none.
func (c *Config) Changes(before *Config) string {
	connections := changes("connections", before.Connections, c.Connections,
		func(c backlog.Connection) string { return c.Name },
		func(a, b backlog.Connection) bool {
			return a.SameEndpoint(b) && slices.Equal(a.Namespaces, b.Namespaces) && slices.Equal(a.Queues, b.Queues) &&
				a.WakeToken.Reveal() == b.WakeToken.Reveal()
		})
	watches := changes("watches", before.Watches, c.Watches,
		func(w Watch) string { return w.Name },
		func(a, b Watch) bool { return a.Namespace == b.Namespace && maps.Equal(a.Trigger, b.Trigger) })
	return strings.Join(append(connections, watches...), "; ")
}

// changes describes which elements of one kind were added, changed and removed.
func changes[T any](kind string, before, after []T, name func(T) string, same func(a, b T) bool) []string {
	old := map[string]T{}
	for _, one := range before {
		old[name(one)] = one
	}
	var added, changed []string
	for _, one := range after {
		known, found := old[name(one)]
		switch {
		case !found:
			added = append(added, name(one))
		case !same(known, one):
			changed = append(changed, name(one))
		}
		delete(old, name(one))
	}
	var texts []string
	for _, what := range []struct {
		done  string
		names []string
	}{{"added", added}, {"changed", changed}, {"removed", slices.Sorted(maps.Keys(old))}} {
		if len(what.names) > 0 {
			texts = append(texts, fmt.Sprintf("%s %s: %s", kind, what.done, strings.Join(what.names, ", ")))
		}
	}
	return texts
}

// maxProblems is how many faults of a configuration are logged.
const maxProblems = 50

// Problems returns the faults of a configuration, as lines for the log.
func Problems(err error) []string {
	lines := strings.Split(strings.TrimPrefix(err.Error(), invalid+"\n"), "\n")
	if more := len(lines) - maxProblems; more > 0 {
		lines = append(lines[:maxProblems], fmt.Sprintf("and %d more", more))
	}
	return lines
}

// invalid begins the error of a configuration with faults.
const invalid = "invalid configuration:"
