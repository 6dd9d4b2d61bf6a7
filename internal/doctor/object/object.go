// Package object has objects of Kubernetes as decoders return them: the kinds that scaler doctor reads,
// their fields and their labels. It is pure.
package object

import "strings"

// An Object is one of a cluster, or of a manifest.
type Object struct {
	Kind Kind
	// Fields are as a decoder returns them.
	Fields map[string]any
	// File is empty for an object of a cluster. Lines has the lines of fields by their paths; the line
	// of the object is that of the empty path.
	File  string
	Lines map[string]int
}

// Named returns an object that has nothing but a kind and a name, such as one that is missing.
func Named(kind Kind, namespace, name string) *Object {
	metadata := map[string]any{"name": name}
	if namespace != "" {
		metadata["namespace"] = namespace
	}
	return &Object{Kind: kind, Fields: map[string]any{"metadata": metadata}}
}

// At returns the value below keys.
func (o *Object) At(keys ...string) Value { return Value{o.Fields}.At(keys...) }

// Name returns the name.
func (o *Object) Name() string { return o.At("metadata", "name").Text() }

// Namespace returns the namespace; empty without one.
func (o *Object) Namespace() string { return o.At("metadata", "namespace").Text() }

// Labels returns the labels.
func (o *Object) Labels() map[string]string { return o.At("metadata", "labels").Texts() }

// Annotations returns the annotations.
func (o *Object) Annotations() map[string]string { return o.At("metadata", "annotations").Texts() }

// Place returns where a field of the object is: the line of the nearest field around it that has one.
func (o *Object) Place(field string) Place {
	p := Place{Kind: string(o.Kind), Namespace: o.Namespace(), Name: o.Name(), File: o.File, Line: o.Lines[""]}
	for path := field; path != ""; path = path[:max(strings.LastIndexAny(path, ".["), 0)] {
		if line, found := o.Lines[path]; found {
			p.Line = line
			break
		}
	}
	return p
}

// A Place is an object, and the file that it is from.
type Place struct {
	Kind, Namespace, Name string
	// File is empty for an object of a cluster. Line counts from 1; 0 means unknown.
	File string
	Line int
}

// String returns the kind, the namespace and the name.
func (p Place) String() string {
	name := p.Name
	if p.Namespace != "" {
		name = p.Namespace + "/" + p.Name
	}
	return strings.TrimSpace(p.Kind + " " + name)
}
