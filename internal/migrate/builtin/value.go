package builtin

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// A Secret names a key of a Secret of Kubernetes, whose value is never read.
type Secret struct{ Namespace, Name, Key string }

// A Value is what a key of a trigger resolves to: a plain text, a key of a Secret, or unknown. The
// zero Value is a key that is not set.
type Value struct {
	// Text is the plain text.
	Text string
	// Secret is the key of a Secret that has the value; nil if it is not in one.
	Secret *Secret
	// Unknown is why the value is not known, and what would make it known; empty if it is known.
	Unknown string
	// From is where the value comes from, such as "metadata" or "env REDIS_HOST of shop/mailer".
	From string
	// Key is the key that was found, such as "addressFromEnv".
	Key string
	// Line is the line of the key; 0 if it is not in the trigger.
	Line int
}

// IsSet reports whether there is a value, known or not.
func (v Value) IsSet() bool { return v.Text != "" || v.Secret != nil || v.Unknown != "" }

// IsPlain reports whether the value is a plain text.
func (v Value) IsPlain() bool { return v.Text != "" }

// An Entry is a key of the metadata of a trigger.
type Entry struct {
	Text string
	Line int
	// Unquoted reports a number or a truth value, where KEDA's definition takes text only.
	Unquoted bool
}

// A Trigger is one entry of spec.triggers with what its keys resolve to.
type Trigger struct {
	// Type is KEDA's name of the scaler, such as "redis-cluster".
	Type string
	// Namespace and Name are those of the object.
	Namespace, Name string
	// Index is the place among the triggers of the object, from 0.
	Index int
	// Line is where the trigger begins.
	Line int
	// Metadata are the keys of the trigger, among them those that end with FromEnv.
	Metadata map[string]Entry
	// MetricType is that of the trigger; empty is AverageValue.
	MetricType string
	// Job is the strategy of a ScaledJob; empty for a ScaledObject.
	Job string
	// Formula reports that a formula of the object combines the numbers of its triggers.
	Formula bool
	// Env returns a variable of the scaled container.
	Env func(name string) Value
	// Auth are the parameters of the TriggerAuthentication.
	Auth map[string]Value
	// AuthUnknown is why these are not known, or not all; empty if they are.
	AuthUnknown string
	// Identity is the provider of the pod identity, such as "aws"; empty without one.
	Identity string
	// Role and ExternalID are the role that the identity names and what that demands; empty without them.
	Role, ExternalID string
	// KEDANamespace is the namespace in which KEDA runs.
	KEDANamespace string
}

// A Kind is how a setting of a connection is written.
type Kind uint8

// The kinds of settings.
const (
	KindText Kind = iota
	KindList
	KindSecret
	KindFile
)

// A Setting is one setting of a connection. Exactly one of Text, List, Secret and Gap is set.
type Setting struct {
	Name   string
	Kind   Kind
	Text   string
	List   []string
	Secret *Secret
	// Gap is what has to be filled in, in place of a value.
	Gap string
	// Stub is a value that the engine would accept, to check the rest of the connection.
	Stub string
	// mark tells two secrets that stand in plain text apart without holding them.
	mark string
}

// Identity is a text that differs for two settings with different values. It holds no secret.
func (s Setting) Identity() string {
	parts := append([]string{s.Name, s.Text, s.Gap, s.mark}, s.List...)
	if s.Secret != nil {
		parts = append(parts, s.Secret.Namespace, s.Secret.Name, s.Secret.Key)
	}
	return strings.Join(parts, "\x00")
}

// fingerprint returns a mark of a text that does not reveal it.
func fingerprint(text string) string {
	sum := sha256.Sum256([]byte("scaler migrate\x00" + text))
	return hex.EncodeToString(sum[:])
}

// A Pair is a key of the new trigger.
type Pair struct {
	Key, Value string
	// Was is the key of KEDA's trigger whose place it takes; empty if there was none.
	Was string
	// Stub is what to check the trigger with in place of Value: a value from the environment, which
	// KEDA resolves.
	Stub string
	// Resolved is that value, if it is known.
	Resolved string
}

// A Level says how much a finding matters.
type Level string

// The levels, from harmless to grave.
const (
	// Same is carried over, and the numbers are the same.
	Same Level = "same"
	// Better is carried over, and something works that did not before, or could.
	Better Level = "better"
	// Unread is a key that KEDA never read.
	Unread Level = "unread"
	// Changed is carried over, and a number differs.
	Changed Level = "changed"
	// Gap has to be filled in before the result is valid.
	Gap Level = "gap"
	// Cannot is not carried over.
	Cannot Level = "cannot"
)

// A Finding is one sentence about a trigger.
type Finding struct {
	Level Level `json:"level"`
	// Line is where the key stands; 0 if it stands nowhere.
	Line int `json:"line,omitempty"`
	// Key is the key of KEDA's trigger; empty if the finding is about none.
	Key  string `json:"key,omitempty"`
	Text string `json:"text"`
}

// A Conversion is what a trigger becomes.
type Conversion struct {
	// Left is why the trigger stays as it is; empty if it does not.
	Left string
	// Engine and Settings are those of the connection, the settings in the order in which they are
	// written.
	Engine   string
	Settings []Setting
	// Host is what the connection is named after; empty if that is not known.
	Host string
	// Keys are those of the new trigger, without scalerAddress and connection.
	Keys     []Pair
	Findings []Finding
	// Was is the trigger in a few words, without values that may be secret.
	Was string
	// Layout and Queue are the layout, and the queue if it is known.
	Layout, Queue string
	// OldMetric is the name of KEDA's metric, which dashboards may use.
	OldMetric string
}
