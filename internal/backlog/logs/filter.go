package logs

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// namespacePlaceholder stands for the trigger's namespace in the setting "filter".
const namespacePlaceholder = "{namespace}"

// namespaceName is a name of at most maxNamespace bytes that Kubernetes accepts for a namespace, so that
// it can stand in a filter of any language without escapes:
// https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-label-names
var namespaceName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)

const maxNamespace = 63

// filterFor returns the connection's filter for a namespace. A filter that names the namespace needs
// one: without it the query is denied, and not asked without the filter.
func filterFor(filter, namespace string) (string, error) {
	if !strings.Contains(filter, namespacePlaceholder) {
		return filter, nil
	}
	if len(namespace) > maxNamespace || !namespaceName.MatchString(namespace) {
		return "", fmt.Errorf("%w: the connection's filter needs the namespace of the trigger, and %q is no name of a namespace; scaler read takes it from --trigger-namespace",
			backlog.ErrDenied, namespace)
	}
	return strings.ReplaceAll(filter, namespacePlaceholder, namespace), nil
}

// checkFilter reports a filter that cannot be joined with a query in the language of a server.
func checkFilter(server, filter string) error {
	example := strings.ReplaceAll(filter, namespacePlaceholder, "namespace")
	switch server {
	case victoriaLogs:
		return checkLogsQL(example)
	case loki:
		_, err := parseMatchers(example)
		return err
	default:
		if strings.TrimSpace(example) == "" {
			return errors.New("is empty, want a query string")
		}
		return nil
	}
}
