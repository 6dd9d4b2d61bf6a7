package manifest

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/backlog-scaler/backlog-scaler/internal/migrate/builtin"
)

// A Scaled is a ScaledObject or a ScaledJob.
type Scaled struct {
	*Object

	// Job is the strategy of a ScaledJob; empty for a ScaledObject.
	Job string
	// Formula reports that a formula combines the numbers of the triggers.
	Formula bool
	// TargetKind and TargetName are the workload, and Container the one whose environment counts; empty for
	// the first.
	TargetKind, TargetName, Container string
	// PollingInterval is the text of the field; empty without one.
	PollingInterval string
	// Fallback reports that there is one.
	Fallback bool
	// Owner is the kind and name of the object that owns this one; empty without one.
	Owner    string
	Triggers []Trigger
}

// A Trigger is one of a Scaled.
type Trigger struct {
	Type, Name, MetricType string
	Line                   int
	Cached                 bool
	Metadata               map[string]builtin.Entry
	// AuthKind and AuthName are those of authenticationRef; the name is empty without one.
	AuthKind, AuthName string
	AuthLine           int

	node *yaml.Node
}

// kedaVersion is the API version of KEDA's objects.
const kedaVersion = "keda.sh/v1alpha1"

// Scaled returns the object as a ScaledObject or ScaledJob. It reports whether it is one.
func (o *Object) Scaled() (*Scaled, bool) {
	if o.APIVersion != kedaVersion || o.Kind != "ScaledObject" && o.Kind != "ScaledJob" {
		return nil, false
	}
	spec := field(o.node, "spec")
	s := &Scaled{
		Object: o, TargetKind: text(spec, "scaleTargetRef", "kind"), TargetName: text(spec, "scaleTargetRef", "name"),
		Container: text(spec, "scaleTargetRef", "envSourceContainerName"), PollingInterval: text(spec, "pollingInterval"),
		Fallback: field(spec, "fallback") != nil, Formula: text(spec, "advanced", "scalingModifiers", "formula") != "",
	}
	if s.TargetKind == "" {
		s.TargetKind = "Deployment"
	}
	if o.Kind == "ScaledJob" {
		s.Job, s.Container = "default", text(spec, "envSourceContainerName")
		// KEDA takes a name that it does not know for default:
		// https://github.com/kedacore/keda/blob/v2.21.0/pkg/scaling/executor/scale_jobs.go#L462
		if named := text(spec, "scalingStrategy", "strategy"); slices.Contains([]string{"accurate", "custom", "eager"}, named) {
			s.Job = named
		}
	}
	if owners := list(o.node, "metadata", "ownerReferences"); len(owners) > 0 {
		s.Owner = text(owners[0], "kind") + " " + text(owners[0], "name")
	}
	for _, node := range list(spec, "triggers") {
		s.Triggers = append(s.Triggers, o.trigger(node))
	}
	return s, true
}

func (o *Object) trigger(node *yaml.Node) Trigger {
	t := Trigger{
		Type: text(node, "type"), Name: text(node, "name"), MetricType: text(node, "metricType"), Line: node.Line + o.offset, node: node,
		Cached: text(node, "useCachedMetrics") == "true", AuthName: text(node, "authenticationRef", "name"), AuthKind: text(node, "authenticationRef", "kind"),
		Metadata: map[string]builtin.Entry{},
	}
	if t.AuthKind == "" {
		t.AuthKind = "TriggerAuthentication"
	}
	if ref := field(node, "authenticationRef"); ref != nil {
		t.AuthLine = ref.Line + o.offset
	}
	for _, p := range pairs(node, "metadata") {
		e := builtin.Entry{Text: p[1].Value, Line: p[0].Line + o.offset}
		e.Unquoted = p[1].Kind == yaml.ScalarNode && p[1].Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0 &&
			(p[1].Tag != "!!str" || oldBool(p[1].Value))
		if p[1].Kind == yaml.ScalarNode && p[1].Tag != "!!null" {
			t.Metadata[p[0].Value] = e
		}
	}
	return t
}

// oldBool reports a text that YAML 1.1, which kubectl reads, takes for a truth value.
func oldBool(text string) bool {
	return slices.Contains([]string{"yes", "no", "on", "off", "y", "n"}, strings.ToLower(text))
}
