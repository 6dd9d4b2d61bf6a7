package prometheus

import (
	"errors"
	"fmt"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// errNoNamespace is a query without a namespace, where the connection limits queries to one.
var errNoNamespace = errors.New("has no namespace, to which the connection limits it by namespaceLabel; scaler read takes it from --trigger-namespace")

// enforce returns a query with LABEL="NAMESPACE" in each of its selectors. A selector that has the
// label already must match the namespace. It is a second condition then, so it cannot widen what
// is read. Worked, with the label namespace and the namespace shop:
//
//	sum(rate(jobs_total[5m])) / count(up{namespace=~"shop|web"})
//	sum(rate(jobs_total{namespace="shop"}[5m])) / count(up{namespace="shop",namespace=~"shop|web"})
//
// What is sent is printed from the parsed query, so that no text which the server would parse in
// another way can pass. Experimental functions are refused, because info() reads series that no
// selector names: https://prometheus.io/docs/prometheus/latest/querying/functions/#info.
func enforce(query, label, namespace string) (string, error) {
	if namespace == "" {
		return "", errNoNamespace
	}
	parsed, err := parser.NewParser(parser.Options{}).ParseExpr(query)
	if err != nil {
		return "", fmt.Errorf("is not valid PromQL: %s", shorten(err.Error()))
	}
	var foreign error
	parser.Inspect(parsed, func(node parser.Node, _ []parser.Node) error {
		selector, ok := node.(*parser.VectorSelector)
		if !ok {
			return nil
		}
		for _, m := range selector.LabelMatchers {
			if m.Name == label && !m.Matches(namespace) {
				foreign = fmt.Errorf("selects another namespace: it has %s, and the connection limits it to %s=%q", shorten(m.String()), label, namespace)
			}
		}
		only := labels.MustNewMatcher(labels.MatchEqual, label, namespace)
		selector.LabelMatchers = append(selector.LabelMatchers, only)
		return nil
	})
	if foreign != nil {
		return "", foreign
	}
	return parsed.String(), nil
}
