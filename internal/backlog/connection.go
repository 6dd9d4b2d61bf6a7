package backlog

import (
	"bytes"
	"maps"
	"path"
	"reflect"
	"time"
)

// A Connection is a named entry of the configuration. ScaledObjects refer to it by name. They
// never carry an address or a secret.
type Connection struct {
	Name string
	// Engine is the name of the engine.
	Engine string
	// Namespaces are the namespaces that may use the connection, each a pattern as in
	// path.Match.
	Namespaces []string
	// Queues limit the queues that triggers may name: names of Queues in which {namespace}
	// stands for the trigger's own namespace. An empty list is no limit.
	Queues []string
	// WakeToken authenticates who may have a queue read at once; without one no client may.
	WakeToken Secret
	// Settings are the values of the engine's own settings.
	Settings Settings
}

// Allows reports whether a ScaledObject in namespace may use the connection.
func (c Connection) Allows(namespace string) bool {
	for _, pattern := range c.Namespaces {
		if ok, err := path.Match(pattern, namespace); err == nil && ok {
			return true
		}
	}
	return false
}

// SameEndpoint reports whether both connections reach the same server in the same way, so that
// an open Source of one serves the other. Namespaces and Queues do not matter.
func (c Connection) SameEndpoint(other Connection) bool {
	return c.Name == other.Name && c.Engine == other.Engine && c.Settings.equal(other.Settings)
}

// Settings are the parsed values of an engine's settings. A getter returns the zero value for a
// name that is not set or has another kind.
type Settings struct {
	values map[string]any
}

// NewSettings returns Settings with values of the types that Kind documents.
func NewSettings(values map[string]any) Settings {
	return Settings{values: maps.Clone(values)}
}

// Text returns a KindText or KindChoice value.
func (s Settings) Text(name string) string { return setting[string](s, name) }

// List returns a KindList or KindAddresses value.
func (s Settings) List(name string) []string { return setting[[]string](s, name) }

// Integer returns a KindInteger value.
func (s Settings) Integer(name string) int64 { return setting[int64](s, name) }

// Bool returns a KindBool value.
func (s Settings) Bool(name string) bool { return setting[bool](s, name) }

// Duration returns a KindDuration value.
func (s Settings) Duration(name string) time.Duration { return setting[time.Duration](s, name) }

// Secret returns a KindSecret value.
func (s Settings) Secret(name string) Secret { return setting[Secret](s, name) }

// File returns a KindFile value.
func (s Settings) File(name string) File { return setting[File](s, name) }

func setting[T any](s Settings, name string) T {
	value, _ := s.values[name].(T)
	return value
}

func (s Settings) equal(other Settings) bool {
	return maps.EqualFunc(s.values, other.values, func(a, b any) bool {
		x, isFile := a.(File)
		y, alsoFile := b.(File)
		if isFile && alsoFile {
			return x.Path == y.Path && bytes.Equal(x.Data, y.Data)
		}
		return reflect.DeepEqual(a, b)
	})
}

// A File is a file that a setting names, with its content when it was read.
type File struct {
	Path string
	Data []byte
}
