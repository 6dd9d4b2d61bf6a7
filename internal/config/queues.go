package config

import (
	"regexp"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/spelling"
)

// placeholder finds what stands in braces in the limit of a connection.
var placeholder = regexp.MustCompile(`\{([A-Za-z]+)\}`)

// queues parses the names to which a connection limits the queues of its triggers.
func (p *parser) queues(own map[string]entry, key string) []string {
	const want = `a list of names or patterns of queues such as ["{namespace}-*"], where {namespace} is the trigger's own`
	e, found := own[queuesKey]
	if !found {
		return nil
	}
	key = join(key, queuesKey)
	items, ok := p.list(e.value, key, want)
	if !ok {
		return nil
	}
	limits := make([]string, len(items))
	for i, item := range items {
		limits[i] = item.text
		names, err := backlog.ParseQueues(item.text)
		switch {
		case err != nil:
			p.fault(item.node, key, "%s %v, want %s", quote(item.text), err, want)
		case len(names) != 1:
			p.fault(item.node, key, "%s is not one name, want %s", quote(item.text), want)
		}
		for _, match := range placeholder.FindAllStringSubmatch(item.text, -1) {
			name := match[1]
			if name != namespaceKey && (strings.EqualFold(name, namespaceKey) || spelling.Nearest(name, []string{namespaceKey}) != "") {
				p.fault(item.node, key, "%s: did you mean {namespace}?", quote(item.text))
			}
		}
	}
	return limits
}
