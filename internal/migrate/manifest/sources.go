package manifest

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// A Ref names a key of a Secret or ConfigMap of the namespace of its object.
type Ref struct{ Name, Key string }

// An Env is a variable of a container.
type Env struct {
	Name, Value string
	// Secret and ConfigMap are where the value is, if it does not stand here.
	Secret, ConfigMap *Ref
	// Other reports that the value is somewhere else, as in a field of the pod.
	Other bool
}

// An EnvFrom is a Secret or ConfigMap all of whose keys are variables.
type EnvFrom struct {
	Prefix, Secret, ConfigMap string
}

// A Container is one of a workload.
type Container struct {
	Name string
	Env  []Env
	From []EnvFrom
}

// Containers returns those of a workload, or of the Jobs of a ScaledJob.
func (o *Object) Containers() []Container {
	template := field(o.node, "spec", "template")
	if template == nil {
		template = field(o.node, "spec", "jobTargetRef", "template")
	}
	var all []Container
	for _, node := range list(template, "spec", "containers") {
		c := Container{Name: text(node, "name")}
		for _, e := range list(node, "env") {
			c.Env = append(c.Env, env(e))
		}
		for _, from := range list(node, "envFrom") {
			c.From = append(c.From, EnvFrom{text(from, "prefix"), text(from, "secretRef", "name"), text(from, "configMapRef", "name")})
		}
		all = append(all, c)
	}
	return all
}

func env(node *yaml.Node) Env {
	e := Env{Name: text(node, "name"), Value: text(node, "value")}
	from := field(node, "valueFrom")
	if from == nil {
		return e
	}
	switch {
	case field(from, "secretKeyRef") != nil:
		e.Secret = &Ref{text(from, "secretKeyRef", "name"), text(from, "secretKeyRef", "key")}
	case field(from, "configMapKeyRef") != nil:
		e.ConfigMap = &Ref{text(from, "configMapKeyRef", "name"), text(from, "configMapKeyRef", "key")}
	default:
		e.Other = true
	}
	return e
}

// Data returns the texts of a ConfigMap. It is nil for every other kind: Secrets are not read.
func (o *Object) Data() map[string]string {
	if o.Kind != "ConfigMap" || o.APIVersion != "v1" {
		return nil
	}
	data := map[string]string{}
	for _, p := range pairs(o.node, "data") {
		if p[1].Kind == yaml.ScalarNode {
			data[p[0].Value] = p[1].Value
		}
	}
	return data
}

// SecretKeys returns the names of the keys of a Secret, without their values. It reports whether the
// object is a Secret.
func (o *Object) SecretKeys() (keys []string, is bool) {
	if o.Kind != "Secret" || o.APIVersion != "v1" {
		return nil, false
	}
	for _, place := range []string{"data", "stringData"} {
		for _, p := range pairs(o.node, place) {
			keys = append(keys, p[0].Value)
		}
	}
	return keys, true
}

// A Param is a parameter of a TriggerAuthentication.
type Param struct {
	Name string
	// Secret and ConfigMap are where it is; both are nil for a variable of the workload.
	Secret, ConfigMap *Ref
	Env, Container    string
}

// An Auth is a TriggerAuthentication or ClusterTriggerAuthentication.
type Auth struct {
	Cluster bool
	// Params are in the order in which KEDA resolves them: a later one wins.
	Params []Param
	// Identity is the provider of podIdentity, and Role and ExternalID what it names.
	Identity, Role, ExternalID string
	// Others are sources that cannot be followed, such as "hashiCorpVault".
	Others []string
}

// Auth returns the object as an authentication of KEDA. It reports whether it is one.
func (o *Object) Auth() (*Auth, bool) {
	if o.APIVersion != kedaVersion || o.Kind != "TriggerAuthentication" && o.Kind != "ClusterTriggerAuthentication" {
		return nil, false
	}
	spec := field(o.node, "spec")
	a := &Auth{
		Cluster: o.Kind == "ClusterTriggerAuthentication", Identity: text(spec, "podIdentity", "provider"),
		Role: text(spec, "podIdentity", "roleArn"), ExternalID: text(spec, "podIdentity", "externalID"),
	}
	for _, e := range list(spec, "env") {
		a.Params = append(a.Params, Param{Name: text(e, "parameter"), Env: text(e, "name"), Container: text(e, "containerName")})
	}
	for _, e := range list(spec, "configMapTargetRef") {
		a.Params = append(a.Params, Param{Name: text(e, "parameter"), ConfigMap: &Ref{text(e, "name"), text(e, "key")}})
	}
	for _, e := range list(spec, "secretTargetRef") {
		a.Params = append(a.Params, Param{Name: text(e, "parameter"), Secret: &Ref{text(e, "name"), text(e, "key")}})
	}
	for _, other := range []string{
		"filePath", "hashiCorpVault", "azureKeyVault", "gcpSecretManager", "awsSecretManager", "boundServiceAccountToken", "oauth2", "azureServicePrincipal",
	} {
		if field(spec, other) != nil {
			a.Others = append(a.Others, other)
		}
	}
	return a, true
}

// HasSecretManager reports whether parameters may come from a source that cannot be followed.
func (a *Auth) HasSecretManager() bool { return len(a.Others) > 0 }

// String names the sources that cannot be followed.
func (a *Auth) String() string { return strings.Join(a.Others, ", ") }
