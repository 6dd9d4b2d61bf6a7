package facts

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/doctor/object"
)

// A View has the facts in the order in which checks look for them.
type View struct {
	*Facts

	// ByKind are the objects, and Scaled those that KEDA scales.
	ByKind map[object.Kind][]*object.Object
	Scaled []*Scaled

	byName  map[object.Kind]map[string]*object.Object
	pods    map[string][]pod      // by namespace
	known   map[string][]*Running // by namespace and name of the ScaledObject
	servers map[string]Server     // by address; filled as they are looked for
	// KEDA is what is known of KEDA's own Deployments.
	KEDA Installation
}

// NewView returns the View of facts, which it refers to.
func NewView(facts *Facts) *View {
	v := &View{Facts: facts, ByKind: make(map[object.Kind][]*object.Object), byName: make(map[object.Kind]map[string]*object.Object)}
	v.pods, v.known, v.servers = make(map[string][]pod), make(map[string][]*Running), make(map[string]Server)
	for i := range facts.Objects {
		o := &facts.Objects[i]
		v.ByKind[o.Kind] = append(v.ByKind[o.Kind], o)
		if v.byName[o.Kind] == nil {
			v.byName[o.Kind] = make(map[string]*object.Object)
		}
		v.byName[o.Kind][o.Namespace()+"/"+o.Name()] = o
	}
	for _, o := range v.ByKind[object.Pods] {
		v.pods[o.Namespace()] = append(v.pods[o.Namespace()], pod{o, o.Labels()})
	}
	if facts.Scaler != nil {
		for i := range facts.Scaler.Triggers {
			r := &facts.Scaler.Triggers[i]
			v.known[r.Namespace+"/"+r.ScaledObject] = append(v.known[r.Namespace+"/"+r.ScaledObject], r)
		}
	}
	v.KEDA = findKEDA(v)
	for _, o := range slices.Concat(v.ByKind[object.ScaledObjects], v.ByKind[object.ScaledJobs]) {
		v.Scaled = append(v.Scaled, newScaled(v, o))
	}
	return v
}

// Object returns an object by its kind and name; nil without it.
func (v *View) Object(kind object.Kind, namespace, name string) *object.Object {
	return v.byName[kind][namespace+"/"+name]
}

// Knows reports whether every object of a kind is known.
func (v *View) Knows(kind object.Kind) bool {
	return v.Online && v.Namespace == "" && v.Unread[kind] == ""
}

// Owner returns the ScaledObject that an object belongs to; nil if it belongs to none that is known.
func (v *View) Owner(o *object.Object) *object.Object {
	for _, owner := range o.At("metadata", "ownerReferences").List() {
		if owner.At("kind").Text() == string(object.ScaledObjects) {
			return v.Object(object.ScaledObjects, o.Namespace(), owner.At("name").Text())
		}
	}
	return nil
}

// A Ref names an object that is scaled.
type Ref struct{ Namespace, Group, Kind, Name string }

func (r Ref) String() string { return r.Kind + " " + r.Namespace + "/" + r.Name }

// TargetOf returns what the scaleTargetRef of an object names, a Deployment by default.
func TargetOf(o *object.Object) Ref {
	target := o.At("spec", "scaleTargetRef")
	kind := cmp.Or(target.At("kind").Text(), "Deployment")
	group := "apps"
	if version := target.At("apiVersion").Text(); version != "" {
		group, _, _ = strings.Cut(version, "/")
	}
	return Ref{o.Namespace(), group, kind, target.At("name").Text()}
}

// Workload returns the Deployment or StatefulSet that is scaled; nil if it is not known.
func (v *View) Workload(r Ref) *object.Object {
	if r.Group != "apps" {
		return nil
	}
	return v.Object(object.Kind(r.Kind), r.Namespace, r.Name)
}

// A pod is one with its labels, which are compared with those of each workload of the namespace.
type pod struct {
	*object.Object
	labels map[string]string
}

// PodsOf returns the pods of a workload, by the labels that it selects.
func (v *View) PodsOf(workload *object.Object) []*object.Object {
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

// Count returns a number with its noun.
func Count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Field returns the path of a field of a trigger.
func Field(index int, rest string) string {
	path := fmt.Sprintf("spec.triggers[%d]", index)
	if rest != "" {
		path += "." + rest
	}
	return path
}

// Running returns what the running scaler knows of the triggers of a ScaledObject.
func (v *View) Running(s *Scaled) []*Running { return v.known[s.Namespace()+"/"+s.Name()] }
