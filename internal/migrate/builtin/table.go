package builtin

import "slices"

// A Key is a key of one of KEDA's triggers.
type Key struct {
	// Name is the key.
	Name string
	// From is where KEDA reads it, in its order: M is the metadata, E the variable that a key with
	// the suffix FromEnv names, A the TriggerAuthentication.
	From string
	// Becomes says what takes its place.
	Becomes string
	// Extra reports that KEDA reads it outside of its typed configuration, so that its schema does
	// not have it.
	Extra bool
}

// A Family is a set of triggers with the same keys.
type Family struct {
	// Types are KEDA's names of the triggers.
	Types []string
	// Engine is the engine that takes their place.
	Engine string
	Keys   []Key

	// needs are keys without which KEDA refuses the trigger.
	needs []string
	// optionalTarget reports that a trigger of a formula needs no target.
	optionalTarget bool
	convert        func(*conversion)
}

// Families returns all triggers that the scaler has an engine for.
func Families() []Family {
	return []Family{
		redisFamily(), streamsFamily(), kafkaFamily(), apacheKafkaFamily(), rabbitmqFamily(), jetstreamFamily(), sqsFamily(),
		postgresqlFamily(), mysqlFamily(), prometheusFamily(), lokiFamily(), metricsAPIFamily(), searchFamily(),
	}
}

// Find returns the family of a type. It reports whether there is one.
func Find(typ string) (Family, bool) {
	for _, f := range Families() {
		if slices.Contains(f.Types, typ) {
			return f, true
		}
	}
	return Family{}, false
}

// key returns the key of that name.
func (f Family) key(name string) (Key, bool) {
	for _, k := range f.Keys {
		if k.Name == name {
			return k, true
		}
	}
	return Key{}, false
}

// concat returns the keys of several tables as one.
func concat(tables ...[]Key) []Key { return slices.Concat(tables...) }

// httpAuth are the keys of KEDA's authentication of HTTP servers:
// https://github.com/kedacore/keda/blob/v2.21.0/pkg/scalers/authentication/authentication_types.go#L40
func httpAuth() []Key {
	return []Key{
		{Name: "authModes", From: "MA", Becomes: "the settings of the mode; `oauth`, `custom` and `apiKey` cannot be carried"},
		{Name: "authMode", From: "MA", Becomes: "as `authModes`"},
		{Name: "bearerToken", From: "A", Becomes: "`token`"},
		{Name: "token", From: "A", Becomes: "`token`"},
		{Name: "username", From: "A", Becomes: "`username`"},
		{Name: "password", From: "A", Becomes: "`password`"},
		{Name: "cert", From: "A", Becomes: "`tlsCertFile`"},
		{Name: "key", From: "A", Becomes: "`tlsKeyFile`"},
		{Name: "ca", From: "A", Becomes: "`tlsCAFile`"},
		{Name: "oauthTokenURI", From: "A", Becomes: "nothing: there is no OAuth"},
		{Name: "scopes", From: "A", Becomes: "nothing: there is no OAuth"},
		{Name: "scope", From: "A", Becomes: "nothing: there is no OAuth"},
		{Name: "clientID", From: "A", Becomes: "nothing: there is no OAuth"},
		{Name: "clientSecret", From: "A", Becomes: "nothing: there is no OAuth"},
		{Name: "endpointParams", From: "A", Becomes: "nothing: there is no OAuth"},
		{Name: "customAuthHeader", From: "A", Becomes: "nothing: there are no headers of one's own"},
		{Name: "customAuthValue", From: "A", Becomes: "nothing: there are no headers of one's own"},
		{Name: "apiKey", From: "MA", Becomes: "nothing: there are no keys in headers or queries"},
		{Name: "method", From: "MA", Becomes: "nothing: there are no keys in headers or queries"},
		{Name: "keyParamName", From: "MA", Becomes: "nothing: there are no keys in headers or queries"},
	}
}
