package trigger

import (
	"maps"
	"slices"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/decision"
)

// maxPolicyName is the length of the name of an object of Kubernetes in bytes.
const maxPolicyName = 253

// policyTrigger parses a trigger that names an AutoscalerPolicy. Everything else is in the policy.
func (p *parser) policyTrigger(c *Catalog, namespace string) (Trigger, error) {
	_, private := p.environment[keyPolicy]
	name := p.pop(keyPolicy)
	switch {
	case !c.policies:
		p.faults.add(keyPolicy, "this scaler watches no AutoscalerPolicies; it has to be started with --policies")
	case private:
		p.faults.add(keyPolicy+fromEnv, "want the name itself, under policy")
	case name == "":
		p.fault(keyPolicy, "is empty, want the name of an AutoscalerPolicy of this namespace")
	case len(name) > maxPolicyName || strings.ContainsFunc(name, func(r rune) bool { return r != '.' && plainRune(r) != r }):
		p.fault(keyPolicy, "%s: want the name of an AutoscalerPolicy: lower-case letters, digits, dashes and dots, at most %d", p.shown(keyPolicy, name), maxPolicyName)
	}
	for _, key := range slices.Sorted(maps.Keys(p.values)) {
		p.faults.add(shorten(key), "does not go with policy, which says what is read and how; want policy alone")
	}
	if len(p.faults) > 0 {
		return Trigger{}, p.faults
	}
	t := Trigger{
		PolicyName: name,
		Query:      backlog.Query{Layout: keyPolicy, Queue: name, Namespace: namespace},
		// A policy decides on a number of replicas.
		Policy: decision.Spec{Target: 1, Count: decision.CountAll},
	}
	t.MetricName = p.metricName(t, backlog.Layout{Name: keyPolicy})
	return t, nil
}
