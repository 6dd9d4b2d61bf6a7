// Package facts has what is known of a cluster, of manifests and of a running scaler, and a view of it
// in which checks find what belongs together. It judges nothing, and is pure.
package facts

import (
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/doctor/object"
	"github.com/backlog-scaler/backlog-scaler/internal/policycheck"
	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

// Facts are what is known of a cluster, of manifests and of a running scaler.
type Facts struct {
	// Now is when the facts were gathered.
	Now time.Time
	// Online reports that the objects are those of a cluster, and not of manifests.
	Online bool
	// Namespace is the only namespace whose objects were read; empty for all.
	Namespace string
	// Objects are in any order.
	Objects []object.Object
	// Unread says which right or answer is missing, for kinds that could not be read.
	Unread map[object.Kind]string
	// Kubernetes is the version of the API server, such as "v1.36.3"; empty if it is unknown.
	Kubernetes string
	// Scaler is what a running scaler reports; nil if none was asked. NoScaler says why.
	Scaler   *Scaler
	NoScaler string
	// Connections are those of the scaler's configuration; nil without one. Watched are those that
	// its static watches use.
	Connections, Watched []string
	// Triggers parses the triggers of ScaledObjects.
	Triggers Parser
	// Policies checks AutoscalerPolicies.
	Policies *policycheck.Checker
	// Incomplete says what could not be read although it may be.
	Incomplete []string
}

// A Parser parses the metadata of triggers. The error is trigger.MetadataError, or wraps
// trigger.ErrDenied.
type Parser interface {
	// Parse returns the trigger, and what its layout cannot count of what workers hold; nil if all is
	// counted.
	Parse(namespace string, metadata map[string]string) (t trigger.Trigger, unseen, err error)
	// NamesQueue reports whether a key of metadata names a queue in any layout.
	NamesQueue(key string) bool
}

// A Scaler is what a running scaler reports of itself.
type Scaler struct {
	// Address is where it was asked. At is when, by its clock.
	Address string
	At      time.Time
	// ConfigurationError has the faults of its file while an older version is in force.
	ConfigurationError string
	// Unlisted says why neither that nor its connections are known; empty if they are.
	Unlisted string
	Triggers []Running
	// Connections are those of its configuration.
	Connections []Connection
	// Learned are the throughputs that it has measured, by the namespace and name of the policy.
	Learned map[string]Throughput
}

// A Connection is what a running scaler knows of one.
type Connection struct {
	Name  string
	Risks []Risk
}

// A Risk is a setting or a limit of a server that endangers queues or connections.
type Risk struct {
	// Kind is the word of the inspector, such as "eviction". Text says what is.
	Kind, Text string
	// Latent reports that nothing is endangered before something else changes.
	Latent bool
}

// A Throughput is the number of messages that one replica finishes in a second, as a running scaler has
// measured it.
type Throughput struct {
	Signal    string
	PerSecond float64
}

// A Running is a trigger that a running scaler knows.
type Running struct {
	Namespace, ScaledObject, Name     string
	Connection, Layout, Queue, Policy string
	Problem                           *Problem
	Reading                           *Reading
	Wanted                            int64
	WakeUp, Fallback                  string
	Streams                           int
	Called                            bool
	// Since is a time at which the scaler was running already; zero if none is known.
	Since time.Time
}

// A Problem is what is wrong with a trigger in a running scaler.
type Problem struct {
	// Reason is the word of the inspector, such as "denied".
	Reason, Message, Advice string
	Since                   time.Time
}

// A Reading is what a running scaler last read of a queue.
type Reading struct {
	Backlog, Ready int64
	// Consumers are the workers that the engine sees; negative if it does not know.
	Consumers int64
	// MaxUseful is the number of workers beyond which more do not help; 0 is no limit.
	MaxUseful int64
	// Oldest is the age of the oldest waiting message; 0 if it is unknown.
	Oldest time.Duration
}

// Title returns the name of a trigger.
func (r *Running) Title() string {
	switch {
	case r.Policy != "":
		return "policy " + r.Policy
	case r.Queue != "":
		return r.Layout + " " + r.Queue + " on connection " + r.Connection
	default:
		return "a trigger"
	}
}
