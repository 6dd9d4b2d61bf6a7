package trigger

import (
	"fmt"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// queuePlaceholder stands for the queue in a parameter that names a key.
const queuePlaceholder = "{queue}"

// allowQueues reports the first queue of a query that the connection does not allow to
// the namespace. The error wraps ErrDenied: such a queue is refused like a connection
// that is for other namespaces.
func (p *parser) allowQueues(c backlog.Connection, namespace string, layout backlog.Layout, q backlog.Query) error {
	if len(c.Queues) == 0 {
		return nil
	}
	names := backlog.Queues{backlog.Escape(q.Queue)}
	if layout.Patterns != "" {
		// The parser has checked the text.
		names, _ = backlog.ParseQueues(q.Queue)
	}
	for _, name := range names {
		if !c.AllowsQueue(namespace, name) {
			return p.refuseQueue(c, namespace, layout.Name, name)
		}
	}
	for _, parameter := range layout.Parameters {
		value := q.Params.Get(parameter.Name)
		if !parameter.NamesKey || value == "" || value == parameter.Default {
			continue
		}
		for _, name := range names {
			key := strings.ReplaceAll(backlog.Escape(value), queuePlaceholder, name)
			if !c.AllowsQueue(namespace, key) {
				return p.refuseQueue(c, namespace, parameter.Name, value)
			}
		}
	}
	return nil
}

func (p *parser) refuseQueue(c backlog.Connection, namespace, key, name string) error {
	return fmt.Errorf("%s: %w: namespace %q may not use %s of connection %q, want one of %s",
		key, ErrDenied, namespace, p.shown(key, name), c.Name, strings.Join(c.QueuesOf(namespace), ", "))
}
