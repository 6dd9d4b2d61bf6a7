package doctor

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/doctor/object"
)

// A need is something that a check cannot do without.
type need string

// The needs, other than kinds of objects.
const (
	needCluster  need = "cluster"
	needScaler   need = "scaler"
	needConfig   need = "config"
	needPolicies need = "policies"
)

// reading returns the needs of a check that reads kinds of a cluster.
func reading(kinds ...object.Kind) []need {
	needs := []need{needCluster}
	for _, kind := range kinds {
		needs = append(needs, need(kind))
	}
	return needs
}

// A view has the facts in the order in which checks look for them.
type view struct {
	*Facts

	byKind  map[object.Kind][]*object.Object
	byName  map[object.Kind]map[string]*object.Object
	pods    map[string][]pod      // by namespace
	known   map[string][]*Running // by namespace and name of the ScaledObject
	servers map[string]server     // by address; filled as they are looked for
	scaled  []*scaled
	ignores map[*object.Object]ignores
	// keda is what is known of KEDA's own Deployments.
	keda keda
}

func newView(facts *Facts) *view {
	v := &view{Facts: facts, byKind: make(map[object.Kind][]*object.Object), byName: make(map[object.Kind]map[string]*object.Object), ignores: make(map[*object.Object]ignores)}
	v.pods, v.known, v.servers = make(map[string][]pod), make(map[string][]*Running), make(map[string]server)
	for i := range facts.Objects {
		o := &facts.Objects[i]
		v.byKind[o.Kind] = append(v.byKind[o.Kind], o)
		if v.byName[o.Kind] == nil {
			v.byName[o.Kind] = make(map[string]*object.Object)
		}
		v.byName[o.Kind][o.Namespace()+"/"+o.Name()] = o
		v.ignores[o] = parseIgnores(o)
	}
	for _, o := range v.byKind[object.Pods] {
		v.pods[o.Namespace()] = append(v.pods[o.Namespace()], pod{o, o.Labels()})
	}
	if facts.Scaler != nil {
		for i := range facts.Scaler.Triggers {
			r := &facts.Scaler.Triggers[i]
			v.known[r.Namespace+"/"+r.ScaledObject] = append(v.known[r.Namespace+"/"+r.ScaledObject], r)
		}
	}
	v.keda = findKEDA(v)
	for _, o := range slices.Concat(v.byKind[object.ScaledObjects], v.byKind[object.ScaledJobs]) {
		v.scaled = append(v.scaled, newScaled(v, o))
	}
	return v
}

// object returns an object by its kind and name; nil without it.
func (v *view) object(kind object.Kind, namespace, name string) *object.Object {
	return v.byName[kind][namespace+"/"+name]
}

// knows reports whether every object of a kind is known.
func (v *view) knows(kind object.Kind) bool {
	return v.Online && v.Namespace == "" && v.Unread[kind] == ""
}

// cannot says why a check cannot be made; empty if it can.
func (v *view) cannot(c *Check) string {
	for _, n := range c.needs {
		why := ""
		switch n {
		case needCluster:
			if !v.Online {
				why = "needs a cluster, and manifests were given"
			}
		case needScaler:
			if v.Scaler == nil {
				why = cmp.Or(v.NoScaler, "no running scaler was asked")
			}
		case needConfig:
			if v.Connections == nil {
				why = "needs the scaler's configuration: --config FILE"
			}
		case needPolicies:
			if v.Policies == nil {
				why = "policies were not checked"
			}
		default:
			why = v.Unread[object.Kind(n)]
		}
		if why != "" {
			return why
		}
	}
	return ""
}

// ignored returns the reason for which an object ignores a code; empty if it does not.
func (v *view) ignored(o *object.Object, code string) string {
	if code == codeIgnore {
		return ""
	}
	if reason := v.ignores[o].reasons[code]; reason != "" {
		return reason
	}
	// KEDA writes its HorizontalPodAutoscalers, so their annotations are those of the ScaledObject.
	if above := v.owner(o); above != nil {
		return v.ignores[above].reasons[code]
	}
	return ""
}

// owner returns the ScaledObject that an object belongs to; nil if it belongs to none that is known.
func (v *view) owner(o *object.Object) *object.Object {
	for _, owner := range o.At("metadata", "ownerReferences").List() {
		if owner.At("kind").Text() == string(object.ScaledObjects) {
			return v.object(object.ScaledObjects, o.Namespace(), owner.At("name").Text())
		}
	}
	return nil
}

// A ref names an object that is scaled.
type ref struct{ namespace, group, kind, name string }

func (r ref) String() string { return r.kind + " " + r.namespace + "/" + r.name }

// targetOf returns what the scaleTargetRef of an object names, a Deployment by default.
func targetOf(o *object.Object) ref {
	target := o.At("spec", "scaleTargetRef")
	kind := cmp.Or(target.At("kind").Text(), "Deployment")
	group := "apps"
	if version := target.At("apiVersion").Text(); version != "" {
		group, _, _ = strings.Cut(version, "/")
	}
	return ref{o.Namespace(), group, kind, target.At("name").Text()}
}

// workload returns the Deployment or StatefulSet that is scaled; nil if it is not known.
func (v *view) workload(r ref) *object.Object {
	if r.group != "apps" {
		return nil
	}
	return v.object(object.Kind(r.kind), r.namespace, r.name)
}

// A pod is one with its labels, which are compared with those of each workload of the namespace.
type pod struct {
	*object.Object
	labels map[string]string
}

// podsOf returns the pods of a workload, by the labels that it selects.
func (v *view) podsOf(workload *object.Object) []*object.Object {
	selector := workload.At("spec", "selector", "matchLabels").Texts()
	if len(selector) == 0 {
		return nil
	}
	var own []*object.Object
	for _, pod := range v.pods[workload.Namespace()] {
		if object.Includes(pod.labels, selector) {
			own = append(own, pod.Object)
		}
	}
	return own
}

// count returns a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// field returns the path of a field of a trigger.
func field(index int, rest string) string {
	path := fmt.Sprintf("spec.triggers[%d]", index)
	if rest != "" {
		path += "." + rest
	}
	return path
}
