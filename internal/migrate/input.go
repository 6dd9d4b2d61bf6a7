package migrate

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/migrate/builtin"
	"github.com/backlog-scaler/backlog-scaler/internal/migrate/manifest"
)

// A key names an object.
type key struct{ kind, namespace, name string }

// An input is the objects that were given.
type input struct {
	// namespace is that of objects that name none.
	namespace string
	scaled    []*manifest.Scaled
	auths     map[key]*manifest.Auth
	workloads map[key]*manifest.Object
	configs   map[key]map[string]string
	secrets   map[key][]string
	places    map[key][]string
}

func newInput(namespace string) *input {
	return &input{
		namespace: namespace, auths: map[key]*manifest.Auth{}, workloads: map[key]*manifest.Object{}, configs: map[key]map[string]string{},
		secrets: map[key][]string{}, places: map[key][]string{},
	}
}

// add adds objects. The error is one of a version of KEDA that is too old.
func (in *input) add(objects []*manifest.Object) error {
	var faults []error
	for _, o := range objects {
		if o.Group() == "keda.k8s.io" {
			faults = append(faults, fmt.Errorf("%s:%d: %s %s is of KEDA 1: convert it to keda.sh/v1alpha1 first", backlog.Line(o.File), o.Line, backlog.Line(o.Kind), backlog.Line(o.Name)))
			continue
		}
		k := key{o.Kind, cmp.Or(o.Namespace, in.namespace), o.Name}
		if s, ok := o.Scaled(); ok {
			in.scaled = append(in.scaled, s)
			in.places[k] = append(in.places[k], fmt.Sprintf("%s:%d", o.File, o.Line))
		}
		if a, ok := o.Auth(); ok {
			if a.Cluster {
				k.namespace = ""
			}
			in.auths[k] = a
		}
		if data := o.Data(); data != nil {
			in.configs[k] = data
		}
		if keys, is := o.SecretKeys(); is {
			in.secrets[k] = append(in.secrets[k], keys...)
		}
		if _, is := o.Scaled(); !is && len(o.Containers()) > 0 {
			in.workloads[k] = o
		}
	}
	return errors.Join(faults...)
}

// twice returns another place of the same object; empty if there is none.
func (in *input) twice(s *manifest.Scaled) string {
	for _, place := range in.places[key{s.Kind, cmp.Or(s.Namespace, in.namespace), s.Name}] {
		if place != fmt.Sprintf("%s:%d", s.File, s.Line) {
			return place
		}
	}
	return ""
}

// trigger returns a trigger of an object with what its keys resolve to.
func (m *migration) trigger(o *object, index int) builtin.Trigger {
	t := o.Triggers[index]
	result := builtin.Trigger{
		Type: t.Type, Namespace: cmp.Or(o.namespace, "NAMESPACE"), Name: o.Name, Index: index, Line: t.Line, Metadata: t.Metadata, MetricType: t.MetricType,
		Job: o.Job, Formula: o.Formula, KEDANamespace: m.options.KEDANamespace, Auth: map[string]builtin.Value{},
		Env: func(name string) builtin.Value { return m.input.variable(o, o.Container, name) },
	}
	if t.AuthName == "" {
		return result
	}
	k := key{t.AuthKind, o.namespace, t.AuthName}
	if t.AuthKind == "ClusterTriggerAuthentication" {
		k.namespace = ""
	}
	auth, known := m.input.auths[k]
	if !known {
		result.AuthUnknown = fmt.Sprintf("%s %s is not in the input: pass its manifest", t.AuthKind, strings.TrimPrefix(k.namespace+"/"+k.name, "/"))
		return result
	}
	m.authenticate(o, auth, &result)
	return result
}

// authenticate adds the parameters of an authentication.
func (m *migration) authenticate(o *object, auth *manifest.Auth, t *builtin.Trigger) {
	t.Identity, t.Role, t.ExternalID = auth.Identity, auth.Role, auth.ExternalID
	// Secrets and ConfigMaps of a ClusterTriggerAuthentication are those of KEDA's namespace.
	namespace := o.namespace
	if auth.Cluster {
		namespace = m.options.KEDANamespace
	}
	for _, p := range auth.Params {
		var v builtin.Value
		switch {
		case p.Secret != nil:
			v = m.input.secret(namespace, *p.Secret)
		case p.ConfigMap != nil:
			v = m.input.config(namespace, *p.ConfigMap)
		default:
			v = m.input.variable(o, p.Container, p.Env)
		}
		if v.IsSet() {
			v.From = "the TriggerAuthentication"
			t.Auth[p.Name] = v
		}
	}
	if auth.HasSecretManager() {
		t.AuthUnknown = "the TriggerAuthentication takes values from " + auth.String() + ", which the scaler does not read: bring them into a Secret, as External Secrets does, and write the path of its file"
	}
}

// secret returns a reference to a key of a Secret.
func (in *input) secret(namespace string, ref manifest.Ref) builtin.Value {
	keys, given := in.secrets[key{"Secret", namespace, ref.Name}]
	if given && !slices.Contains(keys, ref.Key) {
		return builtin.Value{Unknown: fmt.Sprintf("the Secret %s/%s has no key %s, so that KEDA ran without it", namespace, ref.Name, ref.Key)}
	}
	return builtin.Value{Secret: &builtin.Secret{Namespace: namespace, Name: ref.Name, Key: ref.Key}}
}

// config returns the text of a key of a ConfigMap.
func (in *input) config(namespace string, ref manifest.Ref) builtin.Value {
	data, given := in.configs[key{"ConfigMap", namespace, ref.Name}]
	if !given {
		return builtin.Value{Unknown: fmt.Sprintf("the ConfigMap %s/%s is not in the input: pass its manifest", namespace, ref.Name)}
	}
	return builtin.Value{Text: data[ref.Key], From: fmt.Sprintf("the ConfigMap %s/%s", namespace, ref.Name)}
}

// variable returns a variable of the scaled container, as KEDA resolves it:
// https://github.com/kedacore/keda/blob/v2.21.0/pkg/scaling/resolver/scale_resolvers.go#L240
func (in *input) variable(o *object, container, name string) builtin.Value {
	workload, where := o.Object, o.Kind+" "+o.namespace+"/"+o.Name
	if o.Job == "" {
		where = o.TargetKind + " " + o.namespace + "/" + o.TargetName
		found, known := in.workloads[key{o.TargetKind, o.namespace, o.TargetName}]
		if !known {
			return builtin.Value{Unknown: fmt.Sprintf("it is a variable of %s, which is not in the input: pass its manifest", where)}
		}
		workload = found
	}
	containers := workload.Containers()
	if len(containers) == 0 {
		return builtin.Value{Unknown: where + " has no containers"}
	}
	chosen := containers[0]
	for _, c := range containers {
		if container != "" && c.Name == container {
			chosen = c
		}
	}
	e := environment{input: in, namespace: o.namespace, container: chosen, where: where}
	v := e.lookUp(name)
	if v.From == "" {
		v.From = "the variable " + name + " of " + where
	}
	return v
}

// An environment is that of a container.
type environment struct {
	input            *input
	namespace, where string
	container        manifest.Container
}

// lookUp returns a variable. env wins over envFrom, and of several the last.
func (e environment) lookUp(name string) builtin.Value {
	for _, v := range slices.Backward(e.container.Env) {
		if v.Name != name {
			continue
		}
		switch {
		case v.Secret != nil:
			return e.input.secret(e.namespace, *v.Secret)
		case v.ConfigMap != nil:
			return e.input.config(e.namespace, *v.ConfigMap)
		case v.Other:
			return builtin.Value{Unknown: "the variable " + name + " of " + e.where + " comes from a field of the pod, which KEDA does not resolve either"}
		default:
			return e.expand(name, v.Value)
		}
	}
	return e.from(name)
}

// from looks for a variable in the Secrets and ConfigMaps of envFrom.
func (e environment) from(name string) builtin.Value {
	for _, f := range slices.Backward(e.container.From) {
		plain, ok := strings.CutPrefix(name, f.Prefix)
		if !ok {
			continue
		}
		if f.ConfigMap != "" {
			if v := e.input.config(e.namespace, manifest.Ref{Name: f.ConfigMap, Key: plain}); v.IsSet() {
				return v
			}
			continue
		}
		if keys, given := e.input.secrets[key{"Secret", e.namespace, f.Secret}]; !given || slices.Contains(keys, plain) {
			return builtin.Value{Secret: &builtin.Secret{Namespace: e.namespace, Name: f.Secret, Key: plain}}
		}
	}
	return builtin.Value{}
}

// expand replaces $(NAME) in a value by other variables that are plain.
func (e environment) expand(name, value string) builtin.Value {
	rest, result := value, ""
	for {
		before, after, found := strings.Cut(rest, "$(")
		inner, tail, closed := strings.Cut(after, ")")
		if !found || !closed {
			return builtin.Value{Text: result + rest}
		}
		if plain, escaped := strings.CutSuffix(before, "$"); escaped { // $$( is no reference
			result, rest = result+plain+"$("+inner+")", tail
			continue
		}
		for _, v := range e.container.Env {
			if v.Name == inner && (v.Secret != nil || v.ConfigMap != nil || v.Other || strings.Contains(v.Value, "$(")) {
				return builtin.Value{Unknown: "the variable " + name + " of " + e.where + " is made of the variable " + inner + ", which does not stand in plain text: write the value here"}
			}
			if v.Name == inner {
				inner = v.Value
				break
			}
		}
		result, rest = result+before+inner, tail
	}
}
