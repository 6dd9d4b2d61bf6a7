package backlog

import "time"

// A ConnectionState is what is known about one connection.
type ConnectionState struct {
	Name, Engine string
	// Namespaces are the patterns of the namespaces that may use it.
	Namespaces []string
	// Status is what the source says of itself.
	Status Status
	// Queues is the number of queues that are read, and Failing that of those whose last read did
	// not reach the engine.
	Queues, Failing int
	// LastContact is when a batch of reads last reached the engine, and Took how long that batch
	// took; zero if none did.
	LastContact time.Time
	Took        time.Duration
	// FailingSince is when the first of the failing queues began to fail, and Err its error; zero
	// and nil without one.
	FailingSince time.Time
	Err          error
}

// A Risk is a setting or a limit of a server that endangers queues or connections, although reads work.
type Risk struct {
	Kind RiskKind
	// Text says what is, in a phrase.
	Text string
	// Latent reports that nothing is endangered before something else changes, such as another setting.
	Latent bool
}

// A RiskKind is what is endangered. It is stable.
type RiskKind string

// The kinds of risks.
const (
	// RiskEviction is a server that deletes queues when its memory is full.
	RiskEviction RiskKind = "eviction"
	// RiskUnknown is a server that has not said whether it deletes queues.
	RiskUnknown RiskKind = "unknown"
	// RiskTracking is a server that soon reports changes of queues that did not change.
	RiskTracking RiskKind = "tracking"
	// RiskClients is a server that soon takes no more connections.
	RiskClients RiskKind = "clients"
)
